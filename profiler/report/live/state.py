"""What is known of a run under way: one object that the observers tell, and that knows no clock but what it is told.

The event loop tells it of requests, a thread of stored trials while no request is under way, and the view's thread
reads it meanwhile: what that thread reads is replaced whole, or copied in one step of the interpreter.
"""

from collections import Counter
from dataclasses import dataclass, field

from profiler.analysis.metrics import COLUMNS, TrialMetrics, trial_metrics
from profiler.analysis.standing import Standing, standing
from profiler.plan import PlannedTrial
from profiler.records.record import Outcome, RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, TrialFile
from profiler.report.live.cells import Cells, TrialCells
from profiler.report.live.outline import Outline
from profiler.report.live.time_left import TimeLeft
from profiler.scenario import BASELINE


@dataclass
class ArmState:
    """One arm so far. `widths` are the half-widths of its interval after each look; `watts` by "gpu" and "cpu"."""

    cells: Cells = field(default_factory=Cells)
    seconds: float = 0.0
    tokens: int = 0
    ttft_ms: float = 0.0  # summed
    answered: int = 0
    standing: Standing | None = None
    widths: list[float] = field(default_factory=list)
    watts: dict[str, float] = field(default_factory=dict)
    memory_mib: float | None = None


@dataclass
class TrialState:
    """The trial under way."""

    planned: PlannedTrial
    began_ns: int
    cells: TrialCells
    requests: int = 0
    tokens: int = 0
    ttft_ms: float = 0.0
    answered: int = 0
    failed: int = 0


class RunState:
    """The run so far. Times are monotonic ns."""

    def __init__(self, outline: Outline) -> None:
        """Before the first trial."""
        self.outline = outline
        self.arms = {arm: ArmState() for arm in outline.arms}
        self.trial: TrialState | None = None
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.finished = outline.before
        self.time = TimeLeft(outline)
        self.earlier_s = 0.0  # that trials took before this process began
        self._trials: list[TrialMetrics] = []

    def trial_started(self, planned: PlannedTrial, now_ns: int) -> None:
        """A trial begins."""
        self.arms.setdefault(planned.arm, ArmState())
        self.time.trial_started(planned, now_ns)
        self.trial = TrialState(planned, now_ns, TrialCells(now_ns))

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended. Takes microseconds: it is told on the event loop."""
        trial = self.trial
        if trial is None:
            return
        trial.requests += 1
        trial.tokens += record.output_tokens
        trial.failed += record.outcome is Outcome.ERROR
        if record.first_ns and record.outcome is not Outcome.ERROR:
            trial.answered += 1
            trial.ttft_ms += (record.first_ns - record.scheduled_ns) / 1e6
        trial.cells.add(record)
        for one in record.verdicts:
            said = one.verdict.action if one.verdict.status == "ok" else one.verdict.status
            self.verdicts[one.guard, said.value] += 1

    def trial_ended(self, info: TrialInfo) -> None:
        """It is over and stored."""
        trial, self.trial = self.trial, None
        self.finished += 1
        if trial is None:
            return
        arm = self.arms[trial.planned.arm]
        arm.cells = arm.cells.then(trial.cells.settled(info.ended_ns, over=True))
        arm.seconds += (info.ended_ns - info.started_ns) / 1e9
        arm.tokens += trial.tokens
        arm.ttft_ms += trial.ttft_ms
        arm.answered += trial.answered

    def seconds_left(self, now_ns: int) -> float | None:
        """To the end, as far as it can be told; see `TimeLeft`."""
        return self.time.seconds(now_ns, self.expected_trials())

    def expected_trials(self) -> int | None:
        """All trials of the run; under `until` a guess from the widths so far, None before there are any."""
        if self.outline.trials is not None:
            return self.outline.trials
        found = [arm.standing for arm in self.arms.values() if arm.standing is not None]
        blocks = [one.blocks + one.blocks_left for one in found if one.blocks_left is not None]
        return max(blocks) * self.outline.trials_per_block if blocks else None

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before; its time counts as that of the run.

        Raises:
            DamagedTrial: as `learn`.
        """
        self.earlier_s += (source.info.ended_ns - source.info.started_ns) / 1e9
        self.learn(source)

    def learn(self, source: StoredTrial | TrialFile) -> TrialMetrics:
        """Take in a stored trial's figures, this process's or an earlier one's. Not for the event loop.

        Raises:
            DamagedTrial: it cannot be read any more.
        """
        found = trial_metrics(source.load(COLUMNS))
        self._trials.append(found)
        arm = self.arms.setdefault(found.arm, ArmState())
        arm.memory_mib = found.peak_memory_mib
        arm.watts = watts(found)
        # A look a block: between them the intervals of different arms would rest on different blocks.
        if len(self._trials) % self.outline.trials_per_block == 0:
            self._look()
        return found

    def _look(self) -> None:
        others = [arm for arm in self.arms if arm != BASELINE]
        for name, found in standing(self.outline.until, self._trials, others).items():
            self.arms[name].standing = found
            self.arms[name].widths.append(found.half_width)


def watts(trial: TrialMetrics) -> dict[str, float]:
    """Mean power in a trial by "gpu" and "cpu": what was measured."""
    if trial.resources is None or trial.duration_s <= 0:
        return {}
    parts = {"gpu": trial.resources.gpu_energy, "cpu": trial.resources.cpu_energy}
    return {name: sum(one.average_w for one in part) for name, part in parts.items() if part}
