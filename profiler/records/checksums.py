"""`checksums.jsonl` of a run: size and SHA-256 of each of its files, a line a file, added once the file is in place.

    {"file": "trials/0007.parquet", "bytes": 53817, "sha256": "9f86d0..."}

The last line of a file counts; of files that are written anew (`REWRITTEN`) every line does. Files
without a line (older runs, or a run that was killed between rename and line) are read as they are. Sizes are compared
whenever a run is opened, and the SHA-256 of files up to `HASHED_BYTES`; of larger ones every page that is read has a
CRC of its own, and `verify` hashes them whole.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from profiler.records.durable import Fingerprint, append_line, fingerprint

NAME = "checksums.jsonl"
HASHED_BYTES = 2**20
REWRITTEN = ("isolation.json", "ending.json")
"""Noted before they are renamed into place: a crash between the two leaves what an earlier line says."""


def note(run: Path, written: Mapping[Path, Fingerprint]) -> None:
    """Add the files of `run` that have just been written, all at once.

    Raises:
        OSError: the disk is full or not writable.
    """
    lines = [json.dumps({"file": file.relative_to(run).as_posix(), **asdict(f)}) for file, f in written.items()]
    append_line(run / NAME, "\n".join(lines).encode())


def noted(run: Path) -> dict[str, tuple[Fingerprint, ...]]:
    """What each file should be, by its path in the run, the last line first.

    A line that is not whole, or that names a file elsewhere, says nothing.
    """
    try:
        lines = (run / NAME).read_bytes().splitlines() if (run / NAME).is_file() else []
    except OSError:
        return {}
    found = dict[str, tuple[Fingerprint, ...]]()
    for line in lines:
        try:
            said = json.loads(line)
            file, one = str(said["file"]), Fingerprint(int(said["bytes"]), str(said["sha256"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        if _inside(file):
            found[file] = (one, *(found.get(file, ()) if file in REWRITTEN else ()))
    return found


def _inside(file: str) -> bool:
    path = PurePosixPath(file)
    return file.isprintable() and not path.is_absolute() and ".." not in path.parts


def differences(run: Path, verify: bool = False) -> dict[str, str]:
    """The files of a run that are not as they were written, by path, and in what; `verify` hashes large ones too."""
    found = {file: [_difference(run / file, one, verify) for one in wanted] for file, wanted in noted(run).items()}
    return {file: f"{Path(file).name}: {what[0]}" for file, what in found.items() if all(what)}


def _difference(file: Path, wanted: Fingerprint, verify: bool) -> str:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is no regular file"
        size = status.st_size
        if size != wanted.bytes:
            return f"has {size} bytes, {wanted.bytes} were written"
        if (verify or size <= HASHED_BYTES) and fingerprint(file).sha256 != wanted.sha256:
            return "changed since it was written (its SHA-256 is another)"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
