"""The adapter against llm-guard itself."""

import pytest

from guards.check import Policy
from guards.loading import GuardConfigError
from guards.subject import Message
from guards.verdict import Action, Status
from tests.guards.frameworks.installed import judged, need

need("llm-guard")
WORDS = {"name": "BanSubstrings", "options": {"substrings": ["bomb"], "match_type": "word"}}
MAIL = {"name": "Regex", "options": {"patterns": [r"\w+@\w+\.org"]}}
MASKED = {"name": "Regex", "options": {"patterns": [r"\d{4}"]}}


def test_a_scanner_that_finds_nothing_lets_the_text_pass() -> None:
    (found,) = judged("llm-guard", {"input": [WORDS, MAIL]}, "a fine day")
    assert (found.verdict.action, found.verdict.p_unsafe, found.verdict.status) == (Action.ALLOW, 0.0, Status.OK)


def test_of_two_scanners_of_one_class_neither_hides_the_other() -> None:
    texts = ("mail a@b.org", "the year 1984", "fine")
    found = judged("llm-guard", {"input": [MAIL, MASKED]}, *texts)
    assert [one.verdict.action for one in found] == [Action.BLOCK, Action.BLOCK, Action.ALLOW]
    assert [one.verdict.categories for one in found] == [("Regex",), ("Regex",), ()]


def test_what_is_sanitized_can_be_sent_on_and_what_is_not_cannot() -> None:
    rewrite = Policy(action="rewrite")
    sanitized, both = judged("llm-guard", {"input": [MAIL, WORDS]}, "mail a@b.org", "bomb a@b.org", policy=rewrite)
    assert sanitized.score is not None
    assert (sanitized.verdict.action, sanitized.score.rewritten) == (Action.REWRITE, "mail [REDACTED]")
    assert (both.verdict.action, both.verdict.categories) == (Action.BLOCK, ("Regex", "BanSubstrings"))


def test_secrets_in_an_earlier_turn_cannot_be_rewritten() -> None:
    key, rewrite = "AKIAIOSFODNN7EXAMPLE", Policy(action="rewrite")
    options = {"input": [{"name": "Secrets"}]}
    (found,) = judged("llm-guard", options, f"my key is {key}", policy=rewrite, before=(Message("user", "hello"),))
    assert found.score is not None and found.score.rewritten == "my key is ******"
    (found,) = judged("llm-guard", options, "thanks", policy=rewrite, before=(Message("user", f"my key is {key}"),))
    assert found.verdict.action is Action.BLOCK


def test_an_answers_sanitized_stretch_is_a_span() -> None:
    (found,) = judged(
        "llm-guard", {"output": [MAIL]}, "mail a@b.org now", side="answer", policy=Policy(action="redact")
    )
    assert found.verdict.action is Action.REDACT
    assert [(s.start, s.end) for s in found.verdict.spans] == [(5, 12)]


def test_without_a_scanner_for_the_side_it_is_an_error() -> None:
    (found,) = judged("llm-guard", {"input": [MAIL]}, "fine", side="answer")
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)
    assert "no scanner for the answer: name some in options.output" in found.verdict.detail


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"inputs": []}, r"guards\.mine\.scorer\.options\.inputs: Extra inputs are not permitted"),
        ({"input": [{"name": "Nope"}]}, r"options: llm-guard refuses them: ValueError: Unknown scanner name: Nope"),
        ({"input": [{"name": "Regex", "options": {"pattern": "a"}}]}, "llm-guard refuses them: TypeError"),
    ],
)
def test_a_mistake_is_one_line(options: dict[str, object], said: str) -> None:
    with pytest.raises(GuardConfigError, match=said):
        judged("llm-guard", options, "text")
