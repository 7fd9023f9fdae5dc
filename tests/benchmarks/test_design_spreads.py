"""Windows of equal machine time, cut out of stored trials."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.design_spreads import LEDGER, spreads, windows
from benchmarks.designs import DESIGNS
from benchmarks.precision_table import Ours
from profiler.records.record import TrialInfo
from profiler.records.store import StoredTrial


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(5, 60))
def test_windows_are_whole_blocks_in_order_and_long_enough(seconds: list[int], wanted: int) -> None:
    ends = np.cumsum([0, *seconds]) * 10**9
    trials = [
        StoredTrial(TrialInfo(i, i // 3, "none", 0, int(ends[i]), int(ends[i + 1])), pa.table({}))
        for i in range(len(seconds))
    ]
    seen = [[trial.info.index for trial in window] for window in windows(trials, wanted)]
    assert [index for window in seen for index in window] == list(range(sum(map(len, seen))))
    for window in seen:
        assert sum(seconds[i] for i in window) >= wanted
        assert window[0] % 3 == 0
        assert len({i // 3 for i in window}) > 1


def test_every_design_has_a_row() -> None:
    found = [Ours(20.0 + i, 5.0 + i, 3, 1000.0, dict.fromkeys(DESIGNS, (21.0, 50.0 + 10 * i, 1.0))) for i in range(3)]
    rows = spreads(found)
    assert list(rows) == [LEDGER, *DESIGNS]
    assert rows[LEDGER][1] == 1.0
    assert rows["difference of means"] == pytest.approx((1.0, 1.0, 0.0))
