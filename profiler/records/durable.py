"""Files that a crash cannot halve: written beside, synced, renamed into place, and the folder synced."""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file's size and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


def put(path: Path, write: Callable[[Path], None], before: Callable[[Fingerprint], None] | None = None) -> Fingerprint:
    """Have `write` make the file under another name, then rename it; the fingerprint of what is there now.

    `before` is told it just before the rename.

    Raises:
        OSError: the disk is full or not writable; whatever was at `path` before stays.
    """
    # A name that nothing else has; what a crash leaves of it is tidied by its suffix.
    scratch = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        write(scratch)
        _sync(scratch)
        found = fingerprint(scratch)
        if before is not None:
            before(found)
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    _sync(path.parent)
    return found


def put_bytes(path: Path, content: bytes, before: Callable[[Fingerprint], None] | None = None) -> Fingerprint:
    """The same of content that is in memory.

    Raises:
        OSError: as `put`.
    """

    def write(scratch: Path) -> None:
        scratch.write_bytes(content)

    return put(path, write, before)


def append_line(path: Path, line: bytes) -> None:
    """Add lines to a file and sync it; a line that a crash has cut short before them stays a line of its own.

    Raises:
        OSError: the disk is full or not writable.
    """
    new = not path.exists()
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if new:
        _sync(path.parent)


def fingerprint(path: Path) -> Fingerprint:
    """Of a file as it is now.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Fingerprint(file.tell(), digest.hexdigest())


def _sync(path: Path) -> None:
    # A folder is synced through a descriptor too: that is what makes a rename last.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
