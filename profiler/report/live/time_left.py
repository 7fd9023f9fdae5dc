"""How long a run goes on, guessed from how long its trials took so far."""

import statistics

from profiler.plan import PlannedTrial
from profiler.report.live.outline import Outline
from profiler.scenario import BASELINE


class TimeLeft:
    """Each arm's trials take as long as its own did; an arm that has not run yet as long as the mean of the others.

    A trial's time lasts to the start of the next: what lies between them is in it.
    """

    def __init__(self, outline: Outline) -> None:
        """Before the first trial."""
        self._outline = outline
        self._took_s: dict[str, list[float]] = {}
        self._begun: dict[str, int] = {}
        self._current: tuple[str, int] | None = None
        self.first_ns: int | None = None

    def trial_started(self, planned: PlannedTrial, now_ns: int) -> None:
        """A trial begins, and so the one before is over."""
        if self._current is not None:
            arm, began_ns = self._current
            self._took_s.setdefault(arm, []).append((now_ns - began_ns) / 1e9)
        self.first_ns = now_ns if self.first_ns is None else self.first_ns
        self._begun[planned.arm] = self._begun.get(planned.arm, 0) + 1
        self._current = (planned.arm, now_ns)

    def seconds(self, now_ns: int, trials: int | None) -> float | None:
        """To the end of so many trials; None while no trial has ended, or where nobody knows how many come."""
        if self._current is None or not self._took_s or trials is None:
            return None
        arms, per_block = self._outline.arms, self._outline.trials_per_block
        usual = statistics.mean(took for mine in self._took_s.values() for took in mine)
        each = {arm: statistics.mean(self._took_s.get(arm, [usual])) for arm in arms}
        trial_s = (sum(each.values()) + each.get(BASELINE, usual)) / per_block
        arm, began_ns = self._current
        in_trial_s = min((now_ns - began_ns) / 1e9, each.get(arm, usual))
        done_s = sum(each.get(name, usual) * n for name, n in self._begun.items()) - each.get(arm, usual)
        return max(0.0, (trials - self._outline.before) * trial_s - done_s - in_trial_s)
