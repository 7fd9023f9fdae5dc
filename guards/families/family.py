"""The family files of the package, and which of them fits a model."""

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePath

import yaml
from pydantic import ValidationError

from guards.families.schema import Family

_DATA = Path(__file__).parent / "data"


class FamilyError(ValueError):
    """No such family, or its file is not valid. The message names the file or the known names."""


def read_family(path: Path) -> Family:
    """The family that a YAML file describes.

    Raises:
        FamilyError: not YAML, or not a family; names the file and the first fault.
    """
    try:
        return Family.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise FamilyError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise FamilyError(f"{path}: {where}: {first['msg']}") from error


@cache
def families() -> dict[str, Family]:
    """Every family of the package by name, in the order of their names."""
    read = [read_family(path) for path in sorted(_DATA.glob("*.yaml"))]
    return {family.name: family for family in read}


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        FamilyError: there is none; lists those there are.
    """
    known = families()
    if name not in known:
        raise FamilyError(f"no guard family {name!r}; known: {', '.join(known)}")
    return known[name]


def family_for(model: str) -> Family | None:
    """The family that fits a hub id or a folder, by its last part in any case; None where none does.

    Owners are not compared: `someone/Llama-Guard-3-8B-INT8` is asked and read as Meta's.
    """
    wanted = PurePath(model).name.lower()
    for candidate in families().values():
        if any(fnmatchcase(wanted, PurePath(pattern).name.lower()) for pattern in candidate.hub_ids):
            return candidate
    return None
