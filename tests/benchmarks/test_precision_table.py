"""What `bench-precision` prints of its repeats."""

import pytest

from benchmarks.designs import DESIGNS
from benchmarks.precision_table import Ours, Repeat, figures, table
from benchmarks.two_runs import BenchRun, NaiveRepeat


def _repeat(off_ms: float) -> Repeat:
    ours = Ours(20 + off_ms, 3 + off_ms, 25, 1000.0, dict.fromkeys(DESIGNS, (20 + off_ms, 30.0, 10 * off_ms)))
    plain = BenchRun(300.0, 1000.0, 100, 30.0)
    naive = NaiveRepeat(
        BenchRun(320 + 10 * off_ms, 1020.0, 100, 30.0), plain, BenchRun(300.0, 1030.0 + 40 * off_ms, 100, 30.0)
    )
    return Repeat(ours, naive)


def test_both_methods_errors_and_how_many_times_better() -> None:
    found = figures(4.0, [_repeat(1.0), _repeat(-1.0)])
    assert found["direct_rmse_ms"] == 1.0
    assert found["naive_rmse_ms"] == 10.0
    assert found["direct_rmse_ratio"] == 10.0
    assert found["induced_rmse_ratio_vs_two_bench_runs"] == pytest.approx(4.0)
    assert found["repeats"] == 2


def test_an_interrupted_bench_prints_what_there_is() -> None:
    for done in ([], [_repeat(1.0)]):
        shown = figures(4.0, done)
        assert shown["induced_sd_percent"] is None
        assert "two bench runs" in table(done, shown)
