"""How checks ended, each under its own heading: from the stored columns to the page and the document."""

from collections import Counter
from dataclasses import replace
from io import StringIO

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from guards.trace import GuardVerdict
from guards.verdict import Action, Status, Verdict
from profiler.analysis.guard_checks import guard_checks, total
from profiler.analysis.metrics import trial_metrics
from profiler.report.as_json import to_json
from profiler.report.guard_checks import print_guard_checks
from profiler.report.terminal import print_result
from tests.analysis.made_trials import request, trial
from tests.report.results import arm, result

CHECKS = {
    "input": {"ok": 40, "error": 0, "timeout": 0, "skipped": 0},
    "rerank": {"ok": 120, "error": 7, "timeout": 5, "skipped": 3},
}


def page(*names: str) -> str:
    file = StringIO()
    print_result(result(*(replace(arm(name), guard_checks=CHECKS) for name in names)), Console(file=file, width=80))
    return file.getvalue()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["a", "a.harm", "b"]), st.sampled_from(list(Status))), max_size=5),
        max_size=8,
    )
)
def test_every_verdict_is_counted_once_under_its_guard_and_status(found: list[list[tuple[str, Status]]]) -> None:
    records = [
        replace(request(i), verdicts=tuple(GuardVerdict(g, Verdict(Action.ALLOW, status=s), 1) for g, s in verdicts))
        for i, verdicts in enumerate(found)
    ]
    table = trial(0, 0, "x", records).table
    expected = Counter(one for verdicts in found for one in verdicts)
    counted = guard_checks(table)
    assert {(g, Status(s)): n for g, counts in counted.items() for s, n in counts.items() if n} == expected
    assert all(set(counts) == set(Status) for counts in counted.values())
    halves = [guard_checks(table.slice(0, 3)), guard_checks(table.slice(3))]
    assert total(halves) == counted
    metrics = trial_metrics(trial(0, 0, "x", records))
    assert metrics.guard_errors == sum(n for (_, s), n in expected.items() if s in (Status.ERROR, Status.TIMEOUT))


def test_the_page_tells_of_the_guards_that_failed_and_of_no_others() -> None:
    lines = page("none", "all").splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if "skipped" in line)
    assert [w for w in head.replace("┃", " ").split()] == [
        "arm",
        "guard",
        "checks",
        "ok",
        "error",
        "timeout",
        "skipped",
    ]
    rows = [line.replace("│", " ").split() for line in lines if "rerank" in line and "135" in line]
    assert rows == [[name, "rerank", "135", "120", "7", "5", "3"] for name in ("none", "all")]
    assert not any("input" in line and "40" in line for line in lines)


def test_where_all_were_judged_nothing_is_printed() -> None:
    file = StringIO()
    judged = replace(arm("all"), guard_checks={"input": CHECKS["input"]})
    print_guard_checks([arm("none"), judged], Console(file=file, width=80))
    assert file.getvalue() == ""


def test_long_names_fold_and_no_number_is_cut() -> None:
    file = StringIO()
    named = replace(
        arm("a-rather-long-name-of-an-arm[bold]"),
        guard_checks={"x" * 70: {"ok": 10**6, "error": 10**6, "timeout": 0, "skipped": 1}},
    )
    print_guard_checks([named], Console(file=file, width=80))
    assert max(map(len, file.getvalue().splitlines())) <= 80
    assert file.getvalue().count("1000000") == 2 and "2000001" in file.getvalue()


def test_the_document_has_them_by_guard() -> None:
    document = to_json(result(arm("none"), replace(arm("all"), guard_checks=CHECKS)))
    assert document["arms"]["all"]["guard_checks"] == CHECKS
    assert document["arms"]["none"]["guard_checks"] == {}
    assert "guard_errors" in document["arms"]["all"]
