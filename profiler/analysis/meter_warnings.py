"""What limits a run's energy figures, each said once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from profiler.analysis.energy import AGREE_WITHIN, LONG_ENOUGH_S, WindowEnergy
from profiler.analysis.resources import TrialResources


def meter_warnings(manifest: Mapping[str, Any], trials: Sequence[TrialResources]) -> tuple[str, ...]:
    """From the manifest and the trials that the result is made of."""
    by_source: dict[str, list[WindowEnergy]] = {}
    for trial in trials:
        for one in trial.gpu_energy or ():
            by_source.setdefault(one.source, []).append(one)
    found = list(manifest.get("meters", {}).get("warnings", ()))
    for source, windows in by_source.items():
        found += [text for text in (_disagree(source, windows), _short(source, windows)) if text]
    return (*found, *_lost(trials), *_unused(trials))


def _disagree(source: str, windows: Sequence[WindowEnergy]) -> str:
    both = [(one.counter_j, one.integral_j) for one in windows if one.counter_j and one.integral_j is not None]
    if not both:
        return ""
    ratio = sum(counter for counter, _ in both if counter) / max(sum(i for _, i in both if i), 1e-9)
    if abs(ratio - 1) <= AGREE_WITHIN:
        return ""
    return (
        f"{source}: the energy counter is {ratio:.1%} of the power integral (97-103 %): the two do not agree, "
        f"so differences of J/token below that are not known"
    )


def _short(source: str, windows: Sequence[WindowEnergy]) -> str:
    shortest = min(windows, key=lambda one: one.seconds)
    if shortest.seconds >= LONG_ENOUGH_S:
        return ""
    reach = max(shortest.high - shortest.joules, shortest.joules - shortest.low) / max(shortest.joules, 1e-9)
    steps = f"the counter's steps leave up to {reach:.1%} of a trial's joules open, and " if reach else ""
    return (
        f"{source}: energy windows of {shortest.seconds:.1f} s: {steps}under {LONG_ENOUGH_S:g} s they do not tell "
        f"an arm's settled power: raise requests_per_trial"
    )


def _lost(trials: Iterable[TrialResources]) -> tuple[str, ...]:
    said = dict.fromkeys(f"{g.source} vanished in mid-run: {g.lost}" for t in trials for g in t.gpus if g.lost)
    return tuple(f"{text}: no GPU energy from then on" for text in said)


def _unused(trials: Sequence[TrialResources]) -> tuple[str, ...]:
    """Cards that were counted and never worked, where there are several."""
    most: dict[str, float] = {}
    for trial in trials:
        for gpu in trial.gpus:
            if gpu.utilisation_percent is not None:
                most[gpu.source] = max(most.get(gpu.source, 0.0), gpu.utilisation_percent)
    idle = [source for source, percent in most.items() if percent == 0]
    if not idle or len(most) < 2:
        return ()
    return (f"{', '.join(idle)} did nothing and is in the energy: set CUDA_VISIBLE_DEVICES to the cards of the run",)
