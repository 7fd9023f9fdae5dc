"""Frameworks' results in our words: on objects of their shape, whatever is installed."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.loading import GuardConfigError
from guards.scorers.frameworks import PACKAGES, Package, any_guardrail, framework_function, packages
from guards.scorers.frameworks import guardrails_ai as gr
from guards.scorers.frameworks import llm_guard as lg
from guards.scorers.frameworks import nemo_guardrails as nemo
from guards.scorers.frameworks import openai_guardrails as oai
from guards.scorers.frameworks.finding import Finding, as_mapping, changed_span, in_last_turn
from guards.verdict import Action

TURNS = ({"role": "user", "content": "first"}, {"role": "assistant", "content": "ok"})


def said(text: str, role: str = "user") -> list[dict[str, str]]:
    return [*TURNS, {"role": role, "content": text}]


# What all have in common


def test_a_changed_prompt_is_rewritten_in_its_last_turn() -> None:
    mapping = as_mapping(Finding(False, 0.0, changed="first\na [X]"), "first\na bomb", said("a bomb"), "prompt")
    assert (mapping["action"], mapping["rewritten"]) == (Action.REWRITE, "a [X]")
    # An earlier turn cannot be put in other words, so that the check has nothing to put in its place and blocks.
    mapping = as_mapping(Finding(False, 0.0, changed="[X]\na bomb"), "first\na bomb", said("a bomb"), "prompt")
    assert (mapping["action"], mapping["rewritten"]) == (Action.REWRITE, None)


def test_a_changed_answer_is_masked_where_it_changed() -> None:
    mapping = as_mapping(
        Finding(False, 0.0, changed="an [X] here"), "an old bomb here", said("x", "assistant"), "answer"
    )
    assert (mapping["action"], mapping["spans"]) == (Action.REDACT, [(3, 11, "changed")])
    assert "rewritten" not in mapping


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (Finding(stop=True, changed="other"), Action.BLOCK),
        (Finding(stop=False, changed="text"), Action.ALLOW),
        (Finding(stop=False, changed="text", flag=True), Action.FLAG),
        (Finding(stop=False), Action.ALLOW),
    ],
)
def test_the_frameworks_verdict_is_the_advice(found: Finding, action: Action) -> None:
    assert as_mapping(found, "text", said("text"), "answer")["action"] is action


@given(st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_outside_the_changed_span_nothing_has_changed(before: str, after: str) -> None:
    start, end, _ = changed_span(before, after)
    assert 0 <= start <= end <= len(before)
    assert after.startswith(before[:start]) and after.endswith(before[end:])
    assert len(before[:start]) + len(before[end:]) <= len(after)


@given(st.lists(st.text("a\n", max_size=4), min_size=1, max_size=4), st.text("a\n", max_size=4))
def test_a_change_in_the_last_turn_alone_is_found_in_it(contents: list[str], last: str) -> None:
    turns = [{"role": "user", "content": content} for content in contents]
    assert in_last_turn("\n".join([*contents[:-1], last]), turns) == last


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_is_not_installed_is_one_line(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_installed", lambda distribution: False)
    with pytest.raises(GuardConfigError) as caught:
        framework_function(package, {}, "guards.mine.scorer")
    distribution = "nemoguardrails" if package == "nemo-guardrails" else package
    assert str(caught.value) == f"guards.mine.scorer: {package} is not installed: pip install {distribution}"


@pytest.mark.parametrize("package", ["guardrails-ai", "openai-guardrails"])
def test_two_packages_of_one_name_are_not_mistaken(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_installed", lambda distribution: True)
    with pytest.raises(GuardConfigError, match="guardrails-ai and openai-guardrails are both `guardrails`: uninstall"):
        framework_function(package, {}, "guards.mine.scorer")


# llm-guard


def scans(*steps: tuple[str, bool, float]) -> list[lg.Scan]:
    ways = [(f"S{i}", lambda text, step=step: step) for i, step in enumerate(steps)]
    return lg.scans("text", ways)


@pytest.mark.parametrize(
    ("steps", "stop", "p", "categories", "changed"),
    [
        ([("text", True, -1.0)], False, 0.0, (), "text"),
        ([("text", True, -0.2), ("text", True, -1.0)], False, 0.4, (), "text"),
        ([("text", False, 1.0)], True, 1.0, ("S0",), None),
        ([("t***", False, 0.5)], True, 0.75, ("S0",), "t***"),
        ([("t***", True, -1.0)], False, 0.0, (), "t***"),
        ([("t***", False, 1.0), ("t***", False, 1.0)], True, 1.0, ("S0", "S1"), None),
        ([("t***", False, 1.0), ("****", False, 1.0)], True, 1.0, ("S0", "S1"), "****"),
        ([("text", True, 7.0)], False, 1.0, (), "text"),
    ],
)
def test_llm_guard(steps: Any, stop: bool, p: float, categories: Any, changed: str | None) -> None:
    assert lg.finding_of(scans(*steps)) == Finding(stop, pytest.approx(p), categories, changed)


def test_llm_guard_asks_nothing_about_a_blank_text() -> None:
    assert lg.scans("  \n", [("S", lambda text: (text, False, 1.0))]) == []
    assert lg.finding_of([]) == Finding(stop=False, p_unsafe=0.0)


# guardrails-ai


@dataclass
class ErrorSpan:
    start: int
    end: int


@dataclass
class Summary:
    validator_name: str = "Words"
    validator_status: str = "fail"
    error_spans: list[ErrorSpan] | None = None


@dataclass
class Outcome:
    validation_passed: bool | None
    validated_output: Any
    validation_summaries: list[Summary] | None = field(default_factory=list)
    error: str | None = None


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (Outcome(True, "text"), Finding(False, 0.0, (), "text")),
        (Outcome(True, "text", None), Finding(False, 0.0, (), "text")),
        (Outcome(True, "t***", [Summary()]), Finding(False, 1.0, ("Words",), "t***")),
        (Outcome(False, "text", [Summary()]), Finding(False, 1.0, ("Words",), "text", flag=True)),
        (Outcome(False, None, [Summary(), Summary()]), Finding(True, 1.0, ("Words",), flag=True)),
        (Outcome(None, None, []), Finding(True, 1.0, flag=True)),
        (
            Outcome(False, "text", [Summary(error_spans=[ErrorSpan(1, 2)])]),
            Finding(False, 1.0, ("Words",), "text", ((1, 2, "Words"),), flag=True),
        ),
    ],
)
def test_guardrails_ai(outcome: Outcome, found: Finding) -> None:
    assert gr.finding_of(outcome, "text") == found


def test_guardrails_ai_that_could_not_validate_is_an_error_that_quotes_nothing() -> None:
    with pytest.raises(RuntimeError, match=r"^guardrails-ai could not validate the text$"):
        gr.finding_of(Outcome(False, None, [], "SECRET"), "text")


# openai-guardrails


@dataclass
class Result:
    tripwire_triggered: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    execution_failed: bool = False


def masked(text: str, **more: Any) -> Result:
    return Result(info={"guardrail_name": "PII", "checked_text": text, **more})


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ([], Finding(False, 0.0)),
        ([Result(info={"guardrail_name": "K"})], Finding(False, 0.0)),
        ([Result(True, {"guardrail_name": "K"}), Result()], Finding(True, 1.0, ("K",))),
        ([Result(True, {"guardrail_name": "J", "confidence": 0.8}), Result()], Finding(True, 0.8, ("J",))),
        ([Result(False, {"guardrail_name": "J", "confidence": 0.6})], Finding(False, 0.6)),
        ([masked("text")], Finding(False, 0.0)),
        ([masked("t***"), masked("text")], Finding(False, 0.0, (), "t***")),
        ([masked("t***"), Result(True, {"guardrail_name": "K"})], Finding(True, 1.0, ("K",))),
        ([masked("t***"), masked("***t")], Finding(True, 0.0)),
    ],
)
def test_openai_guardrails(results: list[Result], found: Finding) -> None:
    assert oai.finding_of(results, "text") == found


@pytest.mark.parametrize("broken", [Result(execution_failed=True), Result(info={"error": "SECRET"})])
def test_openai_guardrails_check_that_has_not_worked_is_an_error(broken: Result) -> None:
    with pytest.raises(RuntimeError, match=r"^openai-guardrails: a check has not worked$"):
        oai.finding_of([Result(), broken], "text")


# NeMo Guardrails


class Status(Enum):
    PASSED = "passed"
    MODIFIED = "modified"
    BLOCKED = "blocked"
    OTHER = "other"


@dataclass
class RailsResult:
    status: Status
    content: str
    rail: str | None = None


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (RailsResult(Status.PASSED, "text"), Finding(False, 0.0)),
        (RailsResult(Status.MODIFIED, "t***"), Finding(False, None, (), "t***")),
        (RailsResult(Status.BLOCKED, "No.", "check it"), Finding(True, 1.0, ("check it",))),
        (RailsResult(Status.BLOCKED, "No."), Finding(True, 1.0)),
    ],
)
def test_nemo_guardrails(result: RailsResult, found: Finding) -> None:
    assert nemo.finding_of(result) == found


@pytest.mark.parametrize("status", [Status.BLOCKED, Status.MODIFIED])
def test_a_nemo_rail_that_has_broken_is_an_error_and_no_block(status: Status) -> None:
    with pytest.raises(RuntimeError, match="check it has broken"):
        nemo.finding_of(RailsResult(status, nemo.BROKEN, "check it"))
    with pytest.raises(RuntimeError, match="unknown status 'other'"):
        nemo.finding_of(RailsResult(Status.OTHER, "text"))


# any-guardrail


@dataclass
class Category:
    name: str
    triggered: bool | None


@dataclass
class Span:
    start: int
    end: int
    label: str | None = None


@dataclass
class Output:
    valid: bool
    score: float | None = None
    categories: list[Category] = field(default_factory=list)
    spans: list[Span] | None = None
    modified_text: str | None = None
    action: str | None = None


LABELS = [Category("benign", False), Category("malicious", True), Category("other", None)]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (Output(True), Finding(False, 0.0)),
        (Output(False), Finding(True, 1.0, flag=True)),
        (Output(False, 0.7, LABELS, [Span(0, 2)]), Finding(True, 0.7, ("malicious",), None, ((0, 2, ""),), True)),
        (Output(True, 0.3, LABELS, [Span(0, 2)]), Finding(False, 0.3)),
        (Output(False, modified_text="t***"), Finding(True, 1.0, (), "t***", (), True)),
        (Output(True, modified_text="t***"), Finding(False, 0.0, (), "t***")),
        (Output(False, action="Flag"), Finding(False, 1.0, flag=True)),
        (Output(False, action="redact", modified_text="t***"), Finding(False, 1.0, (), "t***", (), True)),
        (Output(False, action="redact"), Finding(True, 1.0, flag=True)),
        (Output(False, action="allow"), Finding(True, 1.0, flag=True)),
        (Output(False, action="GUARDRAIL_INTERVENED"), Finding(True, 1.0, flag=True)),
    ],
)
def test_any_guardrail(output: Output, found: Finding) -> None:
    assert any_guardrail.finding_of(output) == found
