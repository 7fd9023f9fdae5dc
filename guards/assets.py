"""Files that ride in installed packages: found without importing the package, checked before use."""

import hashlib
import importlib.util
from pathlib import Path


class AssetError(ValueError):
    """A pinned file is missing or is not the one that was pinned. The message says the cure."""


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_file(package: str, relative: str, sha256: str) -> Path:
    """Path of a file inside an installed package, once its SHA-256 is the pinned one.

    The package is located by its spec, which runs none of its code.

    Raises:
        AssetError: the package or the file is absent, or the checksum differs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise AssetError(f"package {package} is not installed: run `make setup`")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise AssetError(f"{path} is missing: reinstall {package} (`make setup`)")
    found = sha256_of(path)
    if found != sha256:
        raise AssetError(f"{path}: SHA-256 is {found}, pinned is {sha256}: reinstall {package} (`make setup`)")
    return path
