"""From a grid of settings to arms: the variants of each guard, and the points that they stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError

from guards.config import GuardConfig, InputClassifierConfig, OutputFilterConfig
from profiler.errors import UserError
from profiler.scenario import Scenario
from profiler.sweep.point import Point

_MOST_ARMS = 64
_GUARD: TypeAdapter[GuardConfig] = TypeAdapter(GuardConfig)
THRESHOLD = "threshold"


@dataclass(frozen=True)
class _Variant:
    """One guard with settings of its own, and the thresholds that can be told from its one run."""

    name: str
    config: GuardConfig
    settings: Mapping[str, str]
    thresholds: tuple[float, ...] = ()


def expanded(scenario: Scenario) -> tuple[Scenario, tuple[Point, ...]]:
    """The scenario whose arms are the grid's, and the points that they stand for.

    Without `sweep.stack` every guard of the grid is varied alone; with it the whole stack is one, over all settings.

    Raises:
        UserError: a guard or a key that there is not, a value that it does not take, or too many arms.
    """
    sweep = scenario.sweep
    if sweep is None or not sweep.grid:
        raise UserError("sweep: no grid: add `sweep: {grid: {GUARD.KEY: [VALUE, ...]}}`, or --grid GUARD.KEY=VALUE,...")
    by_guard = _by_guard(scenario, sweep.grid)
    for name in sweep.stack:
        _known(scenario, name, "sweep.stack")
    if sweep.stack and (outside := [name for name in by_guard if name not in sweep.stack]):
        raise UserError(f"sweep.grid: `{outside[0]}` is not in sweep.stack: add it there, or leave sweep.stack out")
    stacks = [tuple(sweep.stack)] if sweep.stack else [(name,) for name in by_guard]
    variants = {name: tuple(_variants(name, scenario, by_guard.get(name, {}))) for stack in stacks for name in stack}
    guards, arms, points = dict[str, GuardConfig](), dict[str, list[str]](), list[Point]()
    for stack in stacks:
        for chosen in product(*(variants[name] for name in stack)):
            arm = " + ".join(variant.name for variant in chosen)
            guards |= {variant.name: variant.config for variant in chosen}
            arms[arm] = [variant.name for variant in chosen]
            points += _points(arm, chosen)
    if len(arms) > _MOST_ARMS:
        raise UserError(f"sweep.grid: makes {len(arms)} arms, at most {_MOST_ARMS} are run: shorten it")
    kept = {name: config for name, config in scenario.guards.items() if name not in by_guard}
    update = {"guards": {**kept, **guards}, "arms": arms, "attribution": "none"}
    return scenario.model_copy(update=update), tuple(points)


def _by_guard(scenario: Scenario, grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Sequence[Any]]]:
    """The values of each key by guard."""
    found: dict[str, dict[str, Sequence[Any]]] = {}
    for path, values in grid.items():
        guard, dot, key = path.partition(".")
        if not dot or not key:
            raise UserError(f"sweep.grid: `{path}` names no setting: write GUARD.KEY, such as input.threshold")
        _known(scenario, guard, "sweep.grid")
        if not values:
            raise UserError(f"sweep.grid: `{path}` has no values: give a list")
        found.setdefault(guard, {})[key] = values
    return found


def _known(scenario: Scenario, guard: str, where: str) -> None:
    if guard not in scenario.guards:
        raise UserError(f"{where}: no guard `{guard}` in the scenario: there are {', '.join(scenario.guards)}")


def _variants(name: str, scenario: Scenario, grid: Mapping[str, Sequence[Any]]) -> Iterator[_Variant]:
    """Every combination of a guard's settings; thresholds that one run tells are not combined but kept beside."""
    base, seen = scenario.guards[name], set[str]()
    for values in product(*(grid[key] for key in grid if key != THRESHOLD)):
        settings = dict(zip((key for key in grid if key != THRESHOLD), values, strict=True))
        for thresholds in _runs(_changed(name, base, settings), grid.get(THRESHOLD, ())):
            stated = settings | ({THRESHOLD: max(thresholds)} if thresholds else {})
            shown = settings if len(thresholds) > 1 else stated
            label = _label(name, shown, seen)
            texts = {f"{name}.{key}": _text(value) for key, value in shown.items()}
            yield _Variant(label, _changed(name, base, stated), texts, thresholds if len(thresholds) > 1 else ())


def _runs(config: GuardConfig, thresholds: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The thresholds of a guard, those that one run tells together."""
    if not thresholds:
        return [()]
    return [tuple(thresholds)] if rescorable(config) else [(threshold,) for threshold in thresholds]


def rescorable(config: GuardConfig) -> bool:
    """Whether stored probabilities tell what another threshold does.

    An input classifier's verdict, and an output filter's cut at one of its checks. Not a reranker's, which would have
    answered with another candidate; not a monitor's, which stops nothing.
    """
    if isinstance(config, InputClassifierConfig):
        return config.gating != "monitor" and config.action == "block"
    return isinstance(config, OutputFilterConfig) and config.action == "block"


def _changed(name: str, config: GuardConfig, settings: Mapping[str, Any]) -> GuardConfig:
    stated: dict[str, Any] = config.model_dump(by_alias=True, exclude_unset=True) | {"kind": config.kind}
    for path, value in settings.items():
        *folders, key = path.split(".")
        place = stated
        for folder in folders:
            inner = place.get(folder)
            place[folder] = dict(inner) if isinstance(inner, dict) else {}
            place = place[folder]
        place[key] = value
    try:
        return _GUARD.validate_python(stated)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        said = "no such setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise UserError(f"sweep.grid: {name}.{where or 'guard'}: {said}") from None


def _label(name: str, settings: Mapping[str, Any], seen: set[str]) -> str:
    """A name of its own for each variant; values that are shown alike are numbered."""
    shown = " ".join([name, *(f"{key}={_text(value)}" for key, value in settings.items())])
    again = sum(label == shown or label.startswith(f"{shown} #") for label in seen)
    label = f"{shown} #{again + 1}" if again else shown
    seen.add(label)
    return label


def _text(value: Any) -> str:
    return str(value.get("kind", value)) if isinstance(value, dict) else str(value)


def _points(arm: str, chosen: Sequence[_Variant]) -> Iterator[Point]:
    settings = {key: text for variant in chosen for key, text in variant.settings.items()}
    told = [variant for variant in chosen if variant.thresholds]
    loosest = tuple(max(variant.thresholds) for variant in told)
    for thresholds in product(*(variant.thresholds for variant in told)):
        stated = {
            f"{variant.name.split(' ')[0]}.{THRESHOLD}": f"{t:g}" for variant, t in zip(told, thresholds, strict=True)
        }
        label = " ".join([arm, *(f"{key.split('.')[-1]}={t}" for key, t in stated.items())])
        by_guard = {variant.name: float(t) for variant, t in zip(told, thresholds, strict=True)}
        yield Point(label, arm, settings | stated, by_guard, thresholds != loosest)
