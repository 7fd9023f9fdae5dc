"""Arrivals: in order, at the rate asked for, the same under one seed; and traces, good and bad."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from profiler.errors import UserError
from profiler.load import Offsets, TraceRow, constant, gamma, poisson, ramp, trace_replay

AZURE = Path(__file__).parents[2].parent / "shared" / "data" / "azure_llm_trace_conv_2023.csv"

rates = st.floats(0.01, 10_000)
counts = st.integers(0, 200)
seeds = st.integers(0, 2**32)


@given(rates, counts, seeds, st.floats(0.05, 50), rates)
def test_offsets_are_whole_ns_in_order(rate: float, n: int, seed: int, burstiness: float, end: float) -> None:
    for offsets in (
        constant(rate, n),
        poisson(rate, n, seed),
        gamma(rate, n, burstiness, seed),
        ramp(rate, end, n, seed),
    ):
        assert offsets.dtype == np.int64
        assert offsets.shape == (n,)
        assert (np.diff(offsets, prepend=0) >= 0).all()


@given(rates, st.integers(1, 200), seeds, st.floats(0.05, 50))
def test_one_seed_gives_one_sequence_and_a_shorter_one_is_its_beginning(
    rate: float, n: int, seed: int, burstiness: float
) -> None:
    def draws(n: int, seed: int) -> list[Offsets]:
        return [poisson(rate, n, seed), gamma(rate, n, burstiness, seed)]

    for whole, again, half in zip(draws(n, seed), draws(n, seed), draws(n // 2, seed), strict=True):
        np.testing.assert_array_equal(whole, again)
        np.testing.assert_array_equal(whole[: n // 2], half)


def test_another_seed_gives_other_arrivals() -> None:
    assert (poisson(10, 50, seed=1) != poisson(10, 50, seed=2)).all()
    assert (ramp(10, 20, 50, seed=1) != ramp(10, 20, 50, seed=2)).all()


def test_constant_is_evenly_spaced_from_zero() -> None:
    assert constant(4, 5).tolist() == [0, 250_000_000, 500_000_000, 750_000_000, 1_000_000_000]


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_have_vllms_distribution(burstiness: float) -> None:
    gaps_s = np.diff(gamma(20.0, 20_000, burstiness, seed=5), prepend=0) / 1e9
    expected = stats.gamma(a=burstiness, scale=1 / (20.0 * burstiness))
    assert stats.kstest(gaps_s, expected.cdf).pvalue > 0.001
    assert gaps_s.mean() == pytest.approx(1 / 20, rel=0.05)


def test_burstiness_one_is_poisson() -> None:
    np.testing.assert_array_equal(poisson(3.0, 50, seed=9), gamma(3.0, 50, 1.0, seed=9))


def test_a_ramp_goes_from_the_first_rate_to_the_last() -> None:
    gaps_s = np.diff(ramp(10, 90, 40_000, seed=2), prepend=0) / 1e9
    assert 1 / gaps_s[:4000].mean() == pytest.approx(14, rel=0.1)  # 10 to 18 in the first tenth
    assert 1 / gaps_s[-4000:].mean() == pytest.approx(86, rel=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: constant(0, 3),
        lambda: poisson(-1, 3, 0),
        lambda: poisson(float("inf"), 3, 0),
        lambda: gamma(1, 3, 0, 0),
        lambda: ramp(1, float("nan"), 3, 0),
        lambda: constant(1, -1),
    ],
)
def test_impossible_arrivals_are_refused(wrong: Callable[[], Offsets]) -> None:
    with pytest.raises(ValueError, match="must"):
        wrong()


def write(folder: Path, content: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(content, encoding="utf-8")
    return path


HEADER = "timestamp,prompt_tokens,output_tokens\n"
AZURE_ROWS = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109\r\n"
    "2023-11-17 18:15:50.9951691,7,0"
)
ROWS = (TraceRow(0, 374, 44), TraceRow(4_314_579_000, 396, 109), TraceRow(86_404_314_579_100, 7, 0))


def test_azures_layout(tmp_path: Path) -> None:
    assert trace_replay(write(tmp_path, AZURE_ROWS)) == ROWS


@pytest.mark.parametrize(
    "content",
    [
        "output_tokens,prompt_tokens,timestamp\n44,374,0\n109,396,4.314579\n0,7,86404.3145791\n",
        '\ufeff"timestamp",input_len,output_len\n1e0,374,44\n\n5.314579,396,109\n86405.3145791,7,0\n',
        (
            "Timestamp,Model,Request tokens,Response tokens\n1700000000,x,374,44\n"
            "1700000004.314579,y,396,109\n1700086404.3145791,z,7,0\n"
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10T00:00:00+00:00,374,44\n"
            "2024-05-10 02:00:04.314579+02:00,396,109\n2024-05-11 00:00:04.3145791Z,7,0\n"
        ),
    ],
)
def test_other_layouts_read_the_same(tmp_path: Path, content: str) -> None:
    assert trace_replay(write(tmp_path, content)) == ROWS


def test_times_without_a_zone_know_no_daylight_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = HEADER + "2023-11-05 00:30:00,1,1\n2023-11-05 03:30:00,1,1\n"
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
        time.tzset()
        rows = trace_replay(write(tmp_path, content))
    time.tzset()
    assert rows[1].offset_ns == 3 * 3600 * 10**9


def test_time_is_scaled_and_the_rows_limited(tmp_path: Path) -> None:
    path = write(tmp_path, AZURE_ROWS)
    assert trace_replay(path, time_scale=0.5, limit=2) == (ROWS[0], TraceRow(2_157_289_500, 396, 109))


@pytest.mark.parametrize(
    ("content", "line", "cure"),
    [
        ("", 1, "name exactly one 'timestamp'"),
        ("timestamp,prompt_tokens\n0,1\n", 1, "name exactly one 'output_tokens'"),
        ("timestamp,prompt_tokens,input_len,output_tokens\n0,1,1,1\n", 1, "name exactly one 'prompt_tokens'"),
        (HEADER + "0,1,1\nyesterday,1,1\n", 3, "write seconds"),
        (HEADER + "2023-02-30 00:00:00,1,1\n", 2, "correct it"),
        (HEADER + "nan,1,1\n", 2, "write seconds"),
        (HEADER + "0,many,1\n", 2, "write a whole number from 1"),
        (HEADER + "0,0,1\n", 2, "write a whole number from 1"),
        (HEADER + "0,1,-1\n", 2, "write a whole number from 0"),
        (HEADER + "0,1,1.5\n", 2, "write a whole number from 0"),
        (HEADER + "0,1\n", 2, "as many as the header"),
        (HEADER + "5,1,1\n\n4,1,1\n", 4, "sort the file"),
    ],
)
def test_a_bad_trace_is_refused_with_line_and_cure(tmp_path: Path, content: str, line: int, cure: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        trace_replay(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert cure in str(caught.value)


@pytest.mark.parametrize("content", [HEADER.encode(), b"\xff\xfe\x00", b"timestamp\x00\n"])
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        trace_replay(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv.*give the path"):
        trace_replay(tmp_path / "none.csv")


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, AZURE_ROWS)
    with pytest.raises(ValueError, match="time_scale"):
        trace_replay(path, time_scale=0)
    with pytest.raises(ValueError, match="limit"):
        trace_replay(path, limit=0)


@given(st.text(max_size=200))
def test_any_text_is_a_trace_or_the_users_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(HEADER + text, encoding="utf-8", newline="")
    try:
        rows = trace_replay(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert rows


@pytest.mark.skipif(not AZURE.exists(), reason=f"{AZURE.name} is not beside this checkout in shared/data")
def test_the_azure_trace_itself() -> None:
    rows = trace_replay(AZURE)
    assert len(rows) == 19_366
    assert rows[0] == TraceRow(0, 374, 44)
    assert 3000e9 < rows[-1].offset_ns < 3600e9
    assert rows[-1].prompt_tokens == 197
    assert trace_replay(AZURE, limit=100) == rows[:100]
