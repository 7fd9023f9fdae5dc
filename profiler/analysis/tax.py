"""From a stored run to the tax of each arm: its own figures, the comparison by block, the ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from profiler.analysis import benefit_sums, metrics, steady, validity
from profiler.analysis.arm_resources import ArmResources, Rates, Work, arm_resources
from profiler.analysis.benefit import ArmBenefit, benefit_of
from profiler.analysis.benefit_sums import PromptSums, Reading, prompt_sums, together
from profiler.analysis.blocks import by_block
from profiler.analysis.comparison import Tax, estimate, taxes
from profiler.analysis.displacement import KvDisplacement, Lengths, displacement_of, lengths_of
from profiler.analysis.guard_checks import GuardChecks, total
from profiler.analysis.ledger import METRICS, TrialSums, fit_of, ledgers_of, sums_of, wastes_of
from profiler.analysis.ledger_entries import Ledger, Waste
from profiler.analysis.meter_warnings import meter_warnings
from profiler.analysis.metrics import LATENCIES, TrialMetrics, trial_metrics
from profiler.analysis.resources import idle_watts, resources_of
from profiler.analysis.steady import Cut, TrialLevel, find_cut, level_of
from profiler.analysis.step_model import StepFit
from profiler.analysis.summary import Summary, summarise
from profiler.analysis.validity import Finding, TrialFacts, facts_of, findings_of
from profiler.errors import UserError
from profiler.meters.not_measured import NotMeasured
from profiler.records.samples import DamagedSamples
from profiler.records.store import DamagedTrial, StoredRun, StoredTrial, TrialFile
from profiler.scenario import BASELINE

# What `sums_of` reads of each call of the engine.
_CALL_FIELDS = (
    "sent_ns", "first_ns", "last_ns", "ended_ns", "output_tokens", "aborted",
    "chunk_ns", "chunk_tokens", "candidates", "prompt_tokens",
)  # fmt: skip
_COLUMNS = (
    *dict.fromkeys((*metrics.COLUMNS, *steady.COLUMNS, *validity.COLUMNS, *benefit_sums.COLUMNS, "index", "spans")),
    *(f"engine_calls.list.element.{name}" for name in _CALL_FIELDS),
)
# A trial is in memory while it is reduced; decoding and sorting run beside each other.
_READERS = 2


@dataclass(frozen=True)
class ArmResult:
    """One arm's figures. None where the machine measured none. `ledger` is by metric, "ttft_ms" and "e2el_ms"."""

    name: str
    requests: int
    latency: dict[str, Summary | None]
    output_tokens_per_s: float
    peak_memory_mib: float | None
    cpu_s_per_request: float | None
    energy_j_per_token: float | None
    outcomes: dict[str, int]
    guard_errors: int
    tax: dict[str, Tax]
    ledger: dict[str, Ledger]
    waste: Waste | None
    benefit: ArmBenefit | None = None
    resources: ArmResources | None = None
    guard_checks: GuardChecks = field(default_factory=dict)
    preemptions: int = 0


@dataclass(frozen=True)
class RunResult:
    """A run's result over the `blocks` of its steady part; `warm_up` says which were cut before it, and why.

    `noise_floor` is one baseline against the other, `warnings` what limits the result, `findings` the rules of
    a valid run that it broke, `trials` the figures of every finished trial, the warm-up's too. `displacement`: what
    the guards take from the generator's KV cache.
    """

    run: StoredRun
    blocks: int
    arms: dict[str, ArmResult]
    noise_floor: dict[str, Tax]
    warm_up: Cut
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    trials: tuple[TrialMetrics, ...]
    displacement: KvDisplacement | NotMeasured | None = None

    @property
    def valid(self) -> bool:
        """Whether the result may be believed."""
        return not any(finding.invalid for finding in self.findings)


@dataclass(frozen=True)
class _Reduced:
    """What is kept of a trial once it has been read."""

    metrics: TrialMetrics
    level: TrialLevel
    facts: TrialFacts
    sums: TrialSums | None
    prompts: PromptSums
    lengths: Lengths
    damage: str = ""


def analyse(run: StoredRun) -> RunResult:
    """Figures, taxes and ledgers of every arm with a finished trial; taxes use the blocks that both arms have.

    Trials are read and reduced one after the other, so that memory does not grow with the run's records.

    Raises:
        UserError: no trial of the run can be read.
    """
    reading = Reading.of(run.manifest)
    read, damaged = _read(run.sources, reading)
    if not read:
        raise UserError(f"{run.path}: none of its trials can be read: {'; '.join((*run.damaged, *damaged))}")
    warm_up = find_cut([one.level for one in read])
    kept = [one for one in read if one.metrics.block not in warm_up.blocks]
    trials = [one.metrics for one in kept]
    by_arm = {arm: [t for t in trials if t.arm == arm] for arm in _order(run, trials)}
    sums = [one.sums for one in kept if one.sums is not None]
    with ThreadPoolExecutor(1) as beside:
        fit, benefit = beside.submit(fit_of, sums), beside.submit(_benefit, kept, list(by_arm), reading)
        found, floor = _compared(by_arm)
        arms = _arms(by_arm, found, sums, fit.result(), benefit.result())
    idle_w, idle_damage = _idle(run)
    arms = {name: _with_resources(arm, by_arm[name], idle_w, _rates(run)) for name, arm in arms.items()}
    unread = [f"{one.damage}: its samples are left out" for one in read if one.damage] + idle_damage
    measured = meter_warnings(run.manifest, [t.resources for t in trials if t.resources is not None])
    return RunResult(
        run=run,
        blocks=len({t.block for t in trials}),
        arms=arms,
        noise_floor=floor,
        warm_up=warm_up,
        warnings=(*_warnings(run, damaged, len(read), arms, trials), *unread, *measured),
        findings=findings_of([one.facts for one in kept], _claimed_ms(found), open_loop=_open_loop(run)),
        trials=tuple(one.metrics for one in read),
        displacement=displacement_of(
            run.manifest, run.parts, trials, [one.lengths for one in kept if one.metrics.arm == BASELINE]
        ),
    )


def _compared(by_arm: Mapping[str, Sequence[TrialMetrics]]) -> tuple[dict[str, dict[str, Tax]], dict[str, Tax]]:
    """The tax of every arm, and of one baseline over the other."""
    baseline = by_arm.get(BASELINE, [])
    first, second = (by_block([t for t in baseline if t.replicate == i]) for i in (0, 1))
    base, aa = by_block(baseline), estimate(first, second)
    found = {arm: estimate(base, by_block(mine)) for arm, mine in by_arm.items() if arm != BASELINE}
    return taxes(found, aa), taxes({BASELINE: aa}, aa)[BASELINE]


def _arms(
    by_arm: Mapping[str, Sequence[TrialMetrics]],
    found: Mapping[str, dict[str, Tax]],
    sums: Sequence[TrialSums],
    fit: StepFit | None,
    benefit: Mapping[str, ArmBenefit],
) -> dict[str, ArmResult]:
    entries = {metric: ledgers_of(sums, metric, fit) for metric in METRICS}
    waste = wastes_of(sums, fit)
    return {
        arm: _arm(arm, mine, found.get(arm, {}), _ledger(arm, entries), waste.get(arm), benefit[arm])
        for arm, mine in by_arm.items()
    }


def _benefit(kept: Sequence[_Reduced], arms: Sequence[str], reading: Reading) -> dict[str, ArmBenefit]:
    """What every arm's guards bought."""
    sums = {arm: together(one.prompts for one in kept if one.metrics.arm == arm) for arm in arms}
    baseline = sums.get(BASELINE)
    return {arm: benefit_of(mine, reading, None if arm == BASELINE else baseline) for arm, mine in sums.items()}


def _claimed_ms(found: Mapping[str, Mapping[str, Tax]]) -> dict[tuple[str, str], float]:
    """The latencies on which a tax or a saving is claimed, by arm and metric."""
    return {
        (arm, name): tax.absolute
        for arm, mine in found.items()
        for name, tax in mine.items()
        if name.startswith(LATENCIES) and tax.claimed
    }


def _open_loop(run: StoredRun) -> bool:
    return bool(run.manifest.get("scenario", {}).get("load", {}).get("kind", "closed") != "closed")


def _read(sources: Sequence[StoredTrial | TrialFile], reading: Reading) -> tuple[list[_Reduced], list[str]]:
    """The trials that can be read, in order, and what is wrong with the others."""
    with ThreadPoolExecutor(_READERS) as readers:
        found = list(readers.map(partial(_reduce, reading), sources))
    return [one for one in found if not isinstance(one, str)], [one for one in found if isinstance(one, str)]


def _reduce(reading: Reading, source: StoredTrial | TrialFile) -> _Reduced | str:
    try:
        trial = source.load(_COLUMNS)
    except DamagedTrial as damage:
        return str(damage)
    return _Reduced(
        trial_metrics(trial),
        level_of(trial),
        facts_of(trial),
        sums_of(trial),
        prompt_sums(trial, reading),
        lengths_of(trial),
        trial.damage,
    )


def _idle(run: StoredRun) -> tuple[dict[str, float], list[str]]:
    """The idle power by source, and what is wrong with its file."""
    try:
        samples = run.idle()
    except DamagedSamples as damage:
        return {}, [f"{damage}: no idle power, so nothing net of it"]
    return idle_watts(None if samples is None else resources_of(samples)), []


def _rates(run: StoredRun) -> Rates:
    said = run.manifest.get("scenario", {}).get("meters", {})
    return Rates(said.get("price_per_kwh"), said.get("gco2e_per_kwh"))


def _with_resources(
    arm: ArmResult, trials: Sequence[TrialMetrics], idle_w: Mapping[str, float], rates: Rates
) -> ArmResult:
    """With what it cost the machine, where every trial has its samples."""
    known = [t.resources for t in trials if t.resources is not None]
    if len(known) < len(trials):
        return arm
    work = Work(arm.requests, sum(t.output_tokens for t in trials), sum(t.harmful_blocked for t in trials))
    return replace(arm, resources=arm_resources(known, work, idle_w, rates))


def _order(run: StoredRun, trials: Sequence[TrialMetrics]) -> list[str]:
    """The arms that have a trial: as planned, then any others."""
    present = {t.arm for t in trials}
    planned = [arm for arm in run.manifest.get("arms", [BASELINE]) if arm in present]
    return [*planned, *sorted(present - set(planned))]


def _ledger(arm: str, entries: Mapping[str, Mapping[str, Ledger]]) -> dict[str, Ledger]:
    return {metric: found[arm] for metric, found in entries.items() if arm in found}


def _arm(
    name: str,
    trials: Sequence[TrialMetrics],
    tax: dict[str, Tax],
    ledger: dict[str, Ledger],
    waste: Waste | None,
    benefit: ArmBenefit,
) -> ArmResult:
    requests = sum(t.requests for t in trials)
    outcomes: Counter[str] = sum((t.outcomes for t in trials), Counter())
    cpu = [t.cpu_s for t in trials if t.cpu_s is not None]
    blocks = by_block(trials).values()
    memory = [t.peak_memory_mib for t in trials if t.peak_memory_mib is not None]
    return ArmResult(
        name=name,
        requests=requests,
        latency={metric: summarise([block.latency_ms[metric] for block in blocks]) for metric in LATENCIES},
        output_tokens_per_s=sum(t.output_tokens for t in trials) / sum(t.duration_s for t in trials),
        peak_memory_mib=max(memory, default=None),
        cpu_s_per_request=sum(cpu) / requests if len(cpu) == len(trials) and requests else None,
        energy_j_per_token=_energy_per_token(trials),
        outcomes={key: outcomes.get(key, 0) for key in trials[0].outcomes},
        guard_errors=sum(t.guard_errors for t in trials),
        tax=tax,
        ledger=ledger,
        waste=waste,
        benefit=benefit,
        guard_checks=total(t.guard_checks for t in trials),
        preemptions=sum(t.preemptions for t in trials),
    )


def _energy_per_token(trials: Sequence[TrialMetrics]) -> float | None:
    energy = [t.energy_j for t in trials if t.energy_j is not None]
    tokens = sum(t.output_tokens for t in trials)
    return sum(energy) / tokens if len(energy) == len(trials) and tokens else None


def _warnings(
    run: StoredRun,
    damaged: Sequence[str],
    finished: int,
    arms: Mapping[str, ArmResult],
    trials: Sequence[TrialMetrics],
) -> tuple[str, ...]:
    found = [f"damaged and left out: {name}" for name in (*run.damaged, *damaged)]
    found += run.notes
    planned = run.manifest.get("planned_trials", finished)
    if finished + len(run.damaged) + len(damaged) < planned:
        found.append(f"{finished} of {planned} trials finished: the rest is not in these figures")
    for arm in arms.values():
        if arm.guard_errors:
            found.append(f"{arm.name}: {arm.guard_errors} guard checks gave no verdict (on_error applied)")
    if BASELINE not in arms:
        found.append(f"no finished trial of the baseline ({BASELINE}): there is nothing to compare with")
    if len({t.block for t in trials}) < 2:
        found.append("fewer than 2 blocks: no tax can be given an interval")
    return tuple(found)
