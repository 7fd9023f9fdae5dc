"""What the terminal shows: the ledger adds up on the page, verdicts in words, nothing wider than 80 columns."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from profiler.analysis.tax import RunResult
from profiler.analysis.validity import Finding
from profiler.report.ledger_table import print_ledger
from profiler.report.terminal import print_result
from tests.report.results import arm, ledger, result, summary

ARMS = ("none", "input", "output", "rerank", "all")


def shown(found: RunResult) -> list[str]:
    page = StringIO()
    print_result(found, Console(file=page, width=80))
    return page.getvalue().splitlines()


def ledger_lines(*names: str, scale: float = 1.0) -> list[str]:
    page = StringIO()
    print_ledger([arm(name, scale=scale) for name in names], Console(file=page, width=80))
    return page.getvalue().splitlines()


def numbers(line: str) -> list[float]:
    return [float(x) for x in re.findall(r"[+-]\d+(?:\.\d+)?", line)]


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0, 3000.0])
def test_the_page_is_80_columns_wide_and_cuts_no_number(scale: float) -> None:
    lines = shown(result(arm("none"), *(arm(name, scale=scale) for name in ARMS[1:])))
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)


def test_the_entries_on_the_page_add_up() -> None:
    lines = ledger_lines("input")
    rows = {line[:10].strip(): numbers(line)[0] for line in lines if line[:2] in ("TT", "+ ", "= ") and numbers(line)}
    parts = [rows[name] for name in ("TTFT direc", "+ induced", "+ waste", "+ saved", "+ residual")]
    assert sum(parts) == pytest.approx(rows["= measured"])


def test_the_residual_has_its_interval_and_direct_its_stages() -> None:
    lines = ledger_lines("input")
    assert any(re.match(r"\+ residual +\+1\.00 ±1\.50", line) for line in lines)
    direct = next(i for i, line in enumerate(lines) if line.startswith("TTFT direct"))
    assert lines[direct + 1].split() == ["prefill", "+19.0"]
    assert lines[direct + 2].split() == ["hold", "back", "+0.90"]
    assert not any("queue" in line for line in lines)


def test_many_arms_share_the_width() -> None:
    names = [f"arm{i}" for i in range(9)]
    lines = ledger_lines(*names, scale=3000)
    assert max(map(len, lines)) <= 80
    heads = [line.split() for line in lines if line.strip().startswith("arm")]
    assert [name for head in heads for name in head] == names
    assert sum(line.count("+90000 ±2") for line in lines) == 2 * len(names)


def test_induced_by_difference_is_marked() -> None:
    one = replace(arm("input"), ledger={"ttft_ms": ledger("input", by_difference=True)})
    page = StringIO()
    print_ledger([one], Console(file=page, width=80))
    assert "~+8.00 ±1.50" in page.getvalue()
    assert "by difference" in page.getvalue()


def test_waste_is_told_in_tokens() -> None:
    lines = ledger_lines("input")
    assert any(line.startswith("tokens for nobody") and "25 (25%)" in line for line in lines)
    assert any(line.startswith("tokens spared") and line.split()[-1] == "40" for line in lines)


def test_verdicts_are_words() -> None:
    lines = shown(result(arm("none"), arm("input")))
    assert any("TTFT p50" in line and line.rstrip().endswith(" tax") for line in lines)
    assert any("E2EL mean" in line and line.rstrip().endswith(" saving") for line in lines)
    assert any("TTFT p50" in line and line.rstrip().endswith("no difference found") for line in lines)


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", "a\x1b[31mb", "[bold", "x" * 60, "trailing\\"])
def test_hostile_names_are_shown_and_do_nothing(name: str) -> None:
    page = "\n".join(shown(result(arm("none"), arm(name))))
    assert "\x1b" not in page
    start = name.replace("\x1b", "?")[:6]
    assert page.count(start) >= 3
    assert max(map(len, page.splitlines())) <= 80


def test_a_p99_has_its_own_interval_where_there_are_enough() -> None:
    many = summary(1000)
    assert many is not None
    low, high = many.p99_ci95.low, many.p99_ci95.high
    assert many.p50 < low < many.p99 < high
    lines = shown(result(arm("none", requests=1000), arm("input", requests=200)))
    row = next(i for i, line in enumerate(lines) if "TTFT p99" in line)
    assert f"{many.p99:.0f} " in lines[row]
    assert "*" in lines[row]
    assert f"{low:.0f}-{high:.0f}" in lines[row + 1]
    assert any("no tax is claimed on it" in line for line in lines)


def test_an_invalid_run_says_so_first_and_why_at_the_end() -> None:
    why = Finding("failed", "input", "INVALID: 3 of 9 requests failed", True)
    lines = shown(result(arm("none"), arm("input"), findings=(why,)))
    assert lines[1].startswith("INVALID")
    assert any(line.startswith("INVALID: input: 3 of 9 requests failed") for line in lines)


def test_a_doubt_is_a_warning_and_the_run_stays_valid() -> None:
    doubt = Finding("lag", "input", "requests were sent late", False)
    lines = shown(result(arm("none"), arm("input"), findings=(doubt,), cut=(0, 1)))
    assert not any("INVALID" in line for line in lines)
    assert any(line.startswith("warning: input: requests were sent late") for line in lines)
    assert any(line.startswith("Warm-up: the first 2 blocks") for line in lines)
