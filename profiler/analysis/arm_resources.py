"""What an arm cost the machine, over all its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.analysis.energy import J_PER_KWH, WindowEnergy
from profiler.analysis.process_use import Memory
from profiler.analysis.resources import GpuState, TrialResources


@dataclass(frozen=True)
class Energy:
    """One source's energy of an arm: "gpu", "cpu", or "gpu+cpu", both together. Net is less the idle power.

    `low` and `high` bound the gross joules per token by the counter's steps. None: nothing to divide by, no idle
    window, no peak without power samples. `cost`, `gco2e`: per million output tokens, from gross.
    """

    joules: float
    j_per_token: float | None
    low: float | None
    high: float | None
    net_j_per_token: float | None
    j_per_request: float | None
    net_j_per_request: float | None
    j_per_harmful_blocked: float | None
    average_w: float
    peak_w: float | None
    idle_w: float | None
    cost: float | None
    gco2e: float | None


@dataclass(frozen=True)
class ArmResources:
    """An arm's cost. CPU seconds by role, per request and per output token; memory is the largest of its trials'.

    `gpus` is each card's state: means over trials, the highest temperature, every reason that slowed it.
    """

    energy: Mapping[str, Energy]
    cpu_s_per_request: Mapping[str, float]
    cpu_s_per_token: Mapping[str, float]
    rss: Mapping[str, Memory]
    pss: Mapping[str, Memory]
    device: Mapping[str, Memory]
    gpus: Mapping[str, GpuState]


@dataclass(frozen=True)
class Work:
    """What an arm's trials delivered."""

    requests: int
    output_tokens: int
    harmful_blocked: int


@dataclass(frozen=True)
class Rates:
    """Of the scenario: what a kWh costs, and what it emits."""

    price_per_kwh: float | None = None
    gco2e_per_kwh: float | None = None


def arm_resources(
    trials: Sequence[TrialResources], work: Work, idle_w: Mapping[str, float], rates: Rates
) -> ArmResources:
    """Put an arm's trials together."""
    cpu_s: dict[str, float] = {}
    for trial in trials:
        for role, seconds in trial.cpu_s.items():
            cpu_s[role] = cpu_s.get(role, 0.0) + seconds
    return ArmResources(
        energy=_energy(trials, work, idle_w, rates),
        cpu_s_per_request={role: s / work.requests for role, s in cpu_s.items()} if work.requests else {},
        cpu_s_per_token={role: s / work.output_tokens for role, s in cpu_s.items()} if work.output_tokens else {},
        rss=_largest([trial.rss for trial in trials]),
        pss=_largest([trial.pss for trial in trials]),
        device=_largest([trial.device for trial in trials]),
        gpus=_states(trials),
    )


def _energy(
    trials: Sequence[TrialResources], work: Work, idle_w: Mapping[str, float], rates: Rates
) -> dict[str, Energy]:
    windows = {"gpu": [t.gpu_energy for t in trials], "cpu": [t.cpu_energy for t in trials]}
    whole = {
        name: [one for one in mine if one is not None]
        for name, mine in windows.items()
        if mine and all(one is not None for one in mine)
    }
    if len(whole) == 2:
        whole["gpu+cpu"] = [(*gpu, *cpu) for gpu, cpu in zip(whole["gpu"], whole["cpu"], strict=True)]
    if {"gpu", "cpu"} <= idle_w.keys():
        idle_w = {**idle_w, "gpu+cpu": idle_w["gpu"] + idle_w["cpu"]}
    return {name: _one(mine, work, idle_w.get(name), rates) for name, mine in whole.items()}


def _one(trials: Sequence[tuple[WindowEnergy, ...]], work: Work, idle_w: float | None, rates: Rates) -> Energy:
    parts = [one for trial in trials for one in trial]
    joules = sum(one.joules for one in parts)
    seconds = sum(max(one.seconds for one in trial) for trial in trials)
    net = None if idle_w is None else joules - idle_w * seconds
    per_token = _per(joules, work.output_tokens)
    peaks = [[one.peak_w for one in trial] for trial in trials]
    return Energy(
        joules=joules,
        j_per_token=per_token,
        low=_per(sum(one.low for one in parts), work.output_tokens),
        high=_per(sum(one.high for one in parts), work.output_tokens),
        net_j_per_token=_per(net, work.output_tokens),
        j_per_request=_per(joules, work.requests),
        net_j_per_request=_per(net, work.requests),
        j_per_harmful_blocked=_per(joules, work.harmful_blocked),
        average_w=joules / seconds if seconds > 0 else 0.0,
        # Cards need not peak at once: the sum is what they reach at most.
        peak_w=max((sum(w for w in trial if w is not None) for trial in peaks if None not in trial), default=None),
        idle_w=idle_w,
        cost=_per_million(per_token, rates.price_per_kwh),
        gco2e=_per_million(per_token, rates.gco2e_per_kwh),
    )


def _per(amount: float | None, of: int) -> float | None:
    return None if amount is None or of == 0 else amount / of


def _per_million(j_per_token: float | None, per_kwh: float | None) -> float | None:
    return None if j_per_token is None or per_kwh is None else j_per_token * 1e6 / J_PER_KWH * per_kwh


def _states(trials: Sequence[TrialResources]) -> dict[str, GpuState]:
    by_source: dict[str, list[GpuState]] = {}
    for trial in trials:
        for state in trial.gpus:
            by_source.setdefault(state.source, []).append(state)
    return {source: _state(source, states) for source, states in by_source.items()}


def _state(source: str, states: Sequence[GpuState]) -> GpuState:
    slowed = [state.slowed for state in states if state.slowed is not None]
    heat = [state.temperature_peak_c for state in states if state.temperature_peak_c is not None]
    return GpuState(
        source=source,
        utilisation_percent=_mean([state.utilisation_percent for state in states]),
        sm_clock_mhz=_mean([state.sm_clock_mhz for state in states]),
        memory_clock_mhz=_mean([state.memory_clock_mhz for state in states]),
        temperature_peak_c=max(heat, default=None),
        slowed=tuple(dict.fromkeys(reason for reasons in slowed for reason in reasons)) if slowed else None,
        lost=next((state.lost for state in states if state.lost), ""),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _largest(trials: Sequence[Mapping[str, Memory]]) -> dict[str, Memory]:
    roles = dict.fromkeys(role for trial in trials for role in trial)
    return {
        role: Memory(max(t[role].peak for t in mine), max(t[role].steady for t in mine))
        for role in roles
        if (mine := [trial for trial in trials if role in trial])
    }
