"""Whether a framework is there, and what its options are."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from guards.loading import GuardConfigError

# The name on the package index where it is another.
_DISTRIBUTIONS = {"nemo-guardrails": "nemoguardrails"}
# Two packages that are both imported as `guardrails`: the later one overwrites files of the other.
_CLASH = ("guardrails-ai", "openai-guardrails")


class Options(BaseModel):
    """Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


Model = TypeVar("Model", bound=Options)


def check_installed(package: str, where: str) -> None:
    """See that a framework can be imported.

    Raises:
        GuardConfigError: it is not installed, or beside one that it cannot live with.
    """
    distribution = _DISTRIBUTIONS.get(package, package)
    if not _installed(distribution):
        raise GuardConfigError(f"{where}: {package} is not installed: pip install {distribution}")
    if package in _CLASH and all(map(_installed, _CLASH)):
        raise GuardConfigError(f"{where}: {' and '.join(_CLASH)} are both `guardrails`: uninstall one of them")


def read_options(model: type[Model], options: Mapping[str, Any], where: str) -> Model:
    """The options as `model` has them.

    Raises:
        GuardConfigError: the first thing that does not fit, by its key.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(step) for step in first["loc"])])
        raise GuardConfigError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from error


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
