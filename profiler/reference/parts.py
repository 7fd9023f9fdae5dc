"""What the reference run is made of, in the order of its worth, and its scenarios."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiler.errors import UserError
from profiler.scenario import ClosedLoad, Load, PoissonLoad, Scenario, load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
TINY = SCENARIOS / "models" / "tiny-shape"
SATURATING_USERS = 64
SHARE_OF_SATURATION = 0.7
_FEW = ("all",)
# So many tokens a step that no prompt is cut: vLLM 0.32's CPU runner dies where that meets a seeded request.
TINY_ENGINE = {
    "load_format": "dummy", "dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "max_num_seqs": 64,
    "max_num_batched_tokens": 8192,
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One run: a scenario under one load. `users` None: Poisson at 70 % of saturation. `arms` empty: all of them."""

    name: str
    scenario: str
    users: int | None
    arms: tuple[str, ...] = ()

    def load(self, pilot_hz: float) -> Load:
        """The load; `pilot_hz` is what the baseline answered a second in the pilot."""
        if self.users is None:
            return PoissonLoad(kind="poisson", rate_hz=SHARE_OF_SATURATION * pilot_hz)
        return ClosedLoad(kind="closed", users=self.users)

    @property
    def pilot_users(self) -> int:
        """Users of the pilot: the part's own, or those that saturate the engine."""
        return SATURATING_USERS if self.users is None else self.users


PARTS = (
    Part("8b-closed-16", "h100", 16),
    Part("8b-closed-64", "h100", 64, _FEW),
    Part("8b-poisson", "h100", None, _FEW),
    Part("8b-closed-1", "h100", 1, _FEW),
    Part("embedded-closed-16", "h100-embedded", 16),
    Part("embedded-closed-64", "h100-embedded", 64, _FEW),
    Part("embedded-poisson", "h100-embedded", None, _FEW),
    Part("embedded-closed-1", "h100-embedded", 1, _FEW),
)


def chosen(names: str, *, full: bool) -> tuple[Part, ...]:
    """The parts that a comma-separated list names, all of them if it is empty; `full`: with every arm.

    Raises:
        UserError: no such part.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {part.name: part for part in PARTS}
    for name in wanted:
        if name not in known:
            raise UserError(f"--parts: no part `{name}`: there are {', '.join(known)}")
    found = [known[name] for name in wanted] if wanted else list(PARTS)
    return tuple(Part(part.name, part.scenario, part.users) if full else part for part in found)


def by_scenario(parts: Iterable[Part]) -> dict[str, list[Part]]:
    """Parts that one engine serves, together; in their order."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.scenario, []).append(part)
    return found


def scenario_of(name: str, *, dry: bool) -> Scenario:
    """The scenario of that name. `dry`: with a tiny model in every model's place, for a machine without a GPU."""
    scenario = load_scenario(SCENARIOS / f"{name}.yaml")
    if not dry:
        return scenario
    stated = _tiny(scenario.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return Scenario.model_validate({**stated, "model": str(TINY), "engine": TINY_ENGINE, "output": _SHORT})


# Longer than the shorter of the chunks.
_SHORT = {"length": "fixed", "max_tokens": 40}


def _tiny(stated: Any) -> Any:
    """Every guard model that is stated, as the tiny one."""
    if isinstance(stated, list):
        return [_tiny(one) for one in stated]
    if not isinstance(stated, dict):
        return stated
    found = {key: _tiny(value) for key, value in stated.items()}
    return {**found, "model": str(TINY), "engine": TINY_ENGINE} if "model" in found else found


def for_part(scenario: Scenario, part: Part, pilot_hz: float, seconds: float, blocks: int, *, idle: bool) -> Scenario:
    """The scenario under the part's load, with so many requests that the baseline's trial lasts `seconds`.

    `idle` measures the idle power; of an engine's later parts it is the first one's.
    """
    load = part.load(pilot_hz)
    rate_hz = load.rate_hz if isinstance(load, PoissonLoad) else pilot_hz
    users = part.users or 1
    update: Mapping[str, Any] = {
        "name": f"{scenario.name}-{part.name}",
        "load": load,
        "arms": _arms(scenario, part.arms),
        "requests_per_trial": max(math.ceil(_MARGIN * rate_hz * seconds) + users, 4),
        "blocks": blocks,
        **({} if idle else {"meters": scenario.meters.model_copy(update={"idle_seconds": 0.0})}),
    }
    return scenario.model_copy(update=dict(update))


# A pilot is short: the trial itself may be faster.
_MARGIN = 1.15


def _arms(scenario: Scenario, arms: Sequence[str]) -> dict[str, list[str]]:
    return {name: list(scenario.arms[name]) for name in arms} if arms else dict(scenario.arms)
