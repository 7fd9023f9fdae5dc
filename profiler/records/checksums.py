"""`checksums.jsonl` of a run: size and SHA-256 of each of its files, a line a file, added once the file is in place.

    {"file": "trials/0007.parquet", "bytes": 53817, "sha256": "9f86d0..."}

The last line of a file counts. Files without a line (older runs, or a run that was killed between rename and line) are
read as they are. Sizes are compared whenever a run is opened, and the SHA-256 of files up to `HASHED_BYTES`; of larger
ones every page that is read has a CRC of its own, and `verify` hashes them whole.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from profiler.records.durable import Fingerprint, append_line, fingerprint

NAME = "checksums.jsonl"
HASHED_BYTES = 2**20


def note(run: Path, written: Mapping[Path, Fingerprint]) -> None:
    """Add the files of `run` that have just been written, all at once.

    Raises:
        OSError: the disk is full or not writable.
    """
    lines = [json.dumps({"file": file.relative_to(run).as_posix(), **asdict(f)}) for file, f in written.items()]
    append_line(run / NAME, "\n".join(lines).encode())


def noted(run: Path) -> dict[str, Fingerprint]:
    """What each file should be, by its path in the run; a line that is not whole says nothing."""
    try:
        lines = (run / NAME).read_bytes().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        try:
            said = json.loads(line)
            found[str(said["file"])] = Fingerprint(int(said["bytes"]), str(said["sha256"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def differences(run: Path, verify: bool = False) -> dict[str, str]:
    """The files of a run that are not as they were written, by path, and in what; `verify` hashes large ones too."""
    found = {file: _difference(run / file, wanted, verify) for file, wanted in noted(run).items()}
    return {file: f"{Path(file).name}: {what}" for file, what in found.items() if what}


def _difference(file: Path, wanted: Fingerprint, verify: bool) -> str:
    try:
        size = file.stat().st_size
        if size != wanted.bytes:
            return f"has {size} bytes, {wanted.bytes} were written"
        if (verify or size <= HASHED_BYTES) and fingerprint(file).sha256 != wanted.sha256:
            return "changed since it was written (its SHA-256 is another)"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
