"""The user's own code: found by name when a scenario's guards are built, never on import."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from guards.guard import Guard
from guards.own import OwnGuard

GROUP = "alignment_tax.guards"
"""The entry-point group under which a package offers guards by name."""


class GuardConfigError(ValueError):
    """A guard that cannot be built as it is stated. One line that names the key and the cure."""


def load_object(reference: str, where: str) -> Any:
    """What `package.module:Name` names. The current working directory is importable, after what is installed.

    Raises:
        GuardConfigError: not of that form, no such module, no such name, or the module fails on import.
    """
    module_name, colon, name = reference.partition(":")
    if not (colon and module_name and name):
        raise GuardConfigError(f"{where}: `{reference}` is not of the form package.module:Name")
    found: Any = _module(module_name, where)
    for part in name.split("."):
        if not hasattr(found, part):
            raise GuardConfigError(f"{where}: module {module_name} has no `{name}`: check its spelling")
        found = getattr(found, part)
    return found


def custom_guard(reference: str, options: Mapping[str, Any], where: str) -> Guard:
    """The user's guard, made from `module:Class` or an entry point's name, with `options` as keyword arguments.

    Raises:
        GuardConfigError: it is not found, refuses its options, or is no guard.
    """
    make = load_object(reference, f"{where}.class") if ":" in reference else _entry_point(reference, f"{where}.class")
    if not callable(make):
        raise GuardConfigError(f"{where}.class: {reference} is not a class: name one that makes a guard")
    return _as_guard(_make(make, options, reference, where), reference, where)


def _make(make: Callable[..., Any], options: Mapping[str, Any], reference: str, where: str) -> Any:
    try:
        return make(**options)
    except Exception as error:  # the user's code may raise anything; it is told in one line
        raise GuardConfigError(f"{where}.options: {reference} refuses them: {told(error)}") from error


def _as_guard(made: Any, reference: str, where: str) -> Guard:
    name = getattr(made, "name", None)
    if not isinstance(name, str) or not name:
        raise GuardConfigError(f"{where}.class: {reference} has no `name`: a guard needs one, as text")
    if not callable(getattr(made, "generate", None)):
        raise GuardConfigError(f"{where}.class: {reference} has no method `generate(request, inner)`: a guard needs it")
    if inspect.iscoroutinefunction(made.generate):
        raise GuardConfigError(f"{where}.class: {reference}.generate never yields: it must be an async generator")
    return OwnGuard(made, name)


def _module(name: str, where: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        # Last, so that a file here can hide no installed package; kept, since modules import their like later on.
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            cure = "install it, or run from the folder that holds it"
            raise GuardConfigError(f"{where}: no module {error.name}: {cure}") from error
        raise GuardConfigError(f"{where}: module {name} fails on import: {told(error)}") from error
    except Exception as error:  # as above
        raise GuardConfigError(f"{where}: module {name} fails on import: {told(error)}") from error


def _entry_point(name: str, where: str) -> Any:
    offered = entry_points(group=GROUP)
    if name not in offered.names:
        known = ", ".join(sorted(offered.names)) or "none"
        raise GuardConfigError(
            f"{where}: `{name}` is neither module:Class nor an entry point of {GROUP} (installed: {known})"
        )
    point = next(iter(offered.select(name=name)))
    return load_object(point.value.partition("[")[0].replace(" ", ""), where)


def told(error: Exception) -> str:
    """An error as a part of a line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
