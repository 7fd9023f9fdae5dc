"""Says nothing: `--quiet`."""

from types import TracebackType
from typing import Self

from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord
from profiler.records.store import StoredTrial, TrialFile


class Silent:
    """Is told everything and shows nothing."""

    def __enter__(self) -> Self:
        """Nothing is to be set up."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is to be put in order."""

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended."""

    def trial_stored(self, trial: StoredTrial) -> None:
        """A trial is on disk."""
