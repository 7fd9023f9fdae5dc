"""The mixture of a run's result: from the trials of its steady part."""

from collections.abc import Iterator
from contextlib import suppress

from profiler.analysis.mixture import COLUMNS, Mixture, mixture
from profiler.analysis.tax import RunResult
from profiler.records.store import DamagedTrial, StoredTrial


def run_mixture(result: RunResult) -> Mixture:
    """What each kind of outcome costs, from the trials that can be read; the report has named the others."""

    def trials() -> Iterator[StoredTrial]:
        for source in result.run.sources:
            if source.info.block not in result.warm_up.blocks:
                with suppress(DamagedTrial):
                    yield source.load(COLUMNS, samples=False)

    return mixture(trials(), result.run.manifest.get("arms", ()))
