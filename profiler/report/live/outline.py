"""What is known of a run before its first trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from profiler import plan
from profiler.analysis.standing import METRIC
from profiler.scenario import Scenario, UntilConfig


@dataclass(frozen=True)
class Outline:
    """`arms` has the baseline first. `blocks` None: as many as `until` takes.

    `before`: trials that a run which is gone on with had done already. `not_measured`: why, by meter.
    """

    run: Path
    name: str
    model: str
    arms: tuple[str, ...]
    blocks: int | None
    requests_per_trial: int
    before: int = 0
    until: UntilConfig | None = None
    not_measured: Mapping[str, str] = field(default_factory=dict)

    @property
    def trials_per_block(self) -> int:
        """Every arm once, and the baseline again."""
        return plan.trials_per_block(self.arms)

    @property
    def trials(self) -> int | None:
        """How many there will be; None where only `until` knows."""
        return None if self.blocks is None else self.blocks * self.trials_per_block

    @property
    def metric(self) -> str:
        """The metric whose tax is watched."""
        return METRIC if self.until is None else self.until.metric


def outline_of(scenario: Scenario, run: Path, not_measured: Mapping[str, str], before: int = 0) -> Outline:
    """Of a run of this scenario."""
    return Outline(
        run,
        scenario.name,
        scenario.model,
        tuple(scenario.stacks()),
        scenario.blocks if scenario.until is None else None,
        scenario.requests_per_trial,
        before,
        scenario.until,
        not_measured,
    )
