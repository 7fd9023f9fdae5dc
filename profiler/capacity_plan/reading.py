"""A saturation sweep read for a plan, one trial at a time."""

from dataclasses import dataclass, field

from profiler.analysis.displacement import Lengths, lengths_of
from profiler.analysis.goodput import stated
from profiler.analysis.metrics import COLUMNS as METRIC_COLUMNS
from profiler.analysis.metrics import TrialMetrics, trial_metrics
from profiler.analysis.power_at_rate import Power, power_of
from profiler.analysis.resources import resources_of
from profiler.capacity_plan.probes import COLUMNS, THROTTLED, PlanProbe, read_probe
from profiler.records.samples import DamagedSamples
from profiler.records.store import DamagedTrial, StoredRun
from profiler.saturation.probe import Goal, Probe, probe_of
from profiler.saturation.result import KIND, goal_of, unfinished_warning
from profiler.saturation.search import unfinished
from profiler.scenario import BASELINE

_METERS = ("gpu", "cpu_energy")


@dataclass
class SweepData:
    """What the plan needs of a sweep: probes by arm, the baseline's figures and lengths, power without a request.

    `no_power` is why no power was metered, for where there is none.
    """

    probes: dict[str, list[PlanProbe]]
    baseline: list[TrialMetrics] = field(default_factory=list)
    lengths: list[Lengths] = field(default_factory=list)
    idle: list[Power] = field(default_factory=list)
    no_power: str = ""
    warnings: list[str] = field(default_factory=list)

    def powers(self, arm: str) -> list[Power]:
        """The arm's valid probes' power, and that of the idle window, at rate 0; none without a probe's."""
        found = [one.power for one in self.probes[arm] if one.power is not None and not one.invalid]
        return found + self.idle if found else []


def read_sweep(run: StoredRun, tightest_ms: float) -> SweepData:
    """Read every trial that is whole; what is not is among the warnings."""
    data = SweepData({arm: [] for arm in run.manifest["arms"]})
    data.warnings += [f"damaged and left out: {what}" for what in run.damaged]
    goal = _goal(run)
    searched: dict[str, list[Probe]] = {arm: [] for arm in data.probes}
    for source in sorted(run.sources, key=lambda one: one.info.index):
        try:
            trial = source.load(tuple(dict.fromkeys((*COLUMNS, *METRIC_COLUMNS))))
        except DamagedTrial as error:
            data.warnings.append(f"damaged and left out: {error}")
            continue
        if (probe := read_probe(trial, tightest_ms)) is not None:
            data.probes[trial.info.arm].append(probe)
        if goal is not None:
            searched[trial.info.arm].append(probe_of(trial, goal))
        if trial.info.arm == BASELINE:
            data.baseline.append(trial_metrics(trial))
            data.lengths.append(lengths_of(trial))
    if goal is not None and (ended := [arm for arm, probes in searched.items() if unfinished(probes, goal)]):
        data.warnings.append(unfinished_warning(ended))
    for arm, probes in data.probes.items():
        said = [probe.invalid for probe in probes if probe.invalid]
        for same in ([one for one in said if one == THROTTLED], [one for one in said if one != THROTTLED]):
            if same:
                data.warnings.append(f"{arm}: {len(same)} probe(s) left out: {same[-1]}")
    _read_idle(run, data)
    data.no_power = _no_power(run)
    return data


def _goal(run: StoredRun) -> Goal | None:
    """What the sweep looked for; None of one that does not say."""
    if KIND not in run.manifest or "slo" not in run.manifest["scenario"]:
        return None
    goal = goal_of(run.manifest)
    return goal if stated(goal.slo) else None


def _read_idle(run: StoredRun, data: SweepData) -> None:
    try:
        samples = run.idle()
    except DamagedSamples as damage:
        data.warnings.append(f"{damage}: no idle power")
        return
    power = power_of(0.0, None if samples is None else resources_of(samples))
    data.idle += [] if power is None else [power]


def _no_power(run: StoredRun) -> str:
    absent = run.manifest.get("not_measured") or {}
    said = [str(absent[name]) for name in _METERS if name in absent]
    return "; ".join(said) or "the sweep's probes were not metered: run `alignment-tax saturate` again"
