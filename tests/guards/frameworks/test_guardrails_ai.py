"""The adapter against guardrails-ai itself, with validators of the test's own."""

import re
from typing import Any

import pytest

from guards.check import Policy
from guards.loading import GuardConfigError
from guards.verdict import Action, Status
from tests.guards.frameworks.installed import judged, need

need("guardrails-ai")

from guardrails.validators import FailResult, PassResult, Validator, register_validator  # noqa: E402
from guardrails_ai.types import ErrorSpan  # noqa: E402


@register_validator(name="test/words", data_type="string")
class Words(Validator):
    """Fails a text with a word in it."""

    def __init__(self, word: str = "bomb", **more: Any) -> None:
        super().__init__(word=word, **more)
        self._word = word

    def _validate(self, value: str, metadata: dict[str, Any]) -> Any:
        found = re.search(self._word, value)
        if found is None:
            return PassResult()
        if "crash" in value:
            raise RuntimeError("boom")
        span = ErrorSpan(start=found.start(), end=found.end(), reason="word")
        return FailResult(
            error_message=f"SECRET {value}", fix_value=value.replace(self._word, "[X]"), error_spans=[span]
        )


def options(on_fail: str | None = None, **more: Any) -> dict[str, Any]:
    stated = {"class": f"{__name__}:Words", "options": more} | ({} if on_fail is None else {"on_fail": on_fail})
    return {"validators": [stated]}


@pytest.mark.parametrize("on_fail", [None, "exception", "filter", "refrain"])
def test_what_stops_there_is_blocked_here(on_fail: str | None) -> None:
    bad, fine = judged("guardrails-ai", options(on_fail), "a bomb", "fine")
    assert (bad.verdict.action, bad.verdict.p_unsafe, bad.verdict.status) == (Action.BLOCK, 1.0, Status.OK)
    assert (fine.verdict.action, fine.verdict.p_unsafe) == (Action.ALLOW, 0.0)
    assert "SECRET" not in repr(bad)


def test_noop_is_a_flag() -> None:
    bad, fine = judged("guardrails-ai", options("noop"), "a bomb", "fine")
    assert (bad.verdict.action, bad.verdict.p_unsafe, bad.verdict.categories) == (Action.FLAG, 1.0, ("Words",))
    assert fine.verdict.action is Action.ALLOW


def test_fix_is_a_rewrite_of_a_prompt_and_a_redaction_of_an_answer() -> None:
    (found,) = judged("guardrails-ai", options("fix", word="gun"), "a gun")
    assert found.score is not None
    assert (found.verdict.action, found.score.rewritten, found.verdict.p_unsafe) == (Action.REWRITE, "a [X]", 1.0)
    (found,) = judged("guardrails-ai", options("fix"), "a bomb here", side="answer")
    assert (found.verdict.action, [(s.start, s.end) for s in found.verdict.spans]) == (Action.REDACT, [(2, 6)])


def test_what_is_filtered_from_an_answer_can_be_redacted_instead() -> None:
    (found,) = judged("guardrails-ai", options("filter"), "a bomb", side="answer", policy=Policy(action="redact"))
    assert (found.verdict.action, [(s.start, s.end) for s in found.verdict.spans]) == (Action.REDACT, [(2, 6)])


def test_many_at_once_each_get_their_own_answer() -> None:
    texts = [f"{i} bomb" if i % 2 else f"{i} fine" for i in range(40)]
    found = judged("guardrails-ai", options("fix"), *texts)
    for text, one in zip(texts, found, strict=True):
        assert one.score is not None
        assert one.score.rewritten == (text.replace("bomb", "[X]") if "bomb" in text else None)


def test_a_validator_that_raises_is_an_error() -> None:
    (found,) = judged("guardrails-ai", options("noop"), "crash a bomb")
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)


def test_its_metrics_are_off() -> None:
    from guardrails import settings
    from guardrails.utils.hub_telemetry_utils import HubTelemetry

    judged("guardrails-ai", options(), "fine")
    assert settings.rc.enable_metrics is False and HubTelemetry()._enabled is False


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (options("reask"), r"validators\.0\.on_fail: `reask` asks the model again, which a scorer cannot: use fix"),
        (options("ignore"), r"guards\.mine\.scorer\.options\.validators\.0\.on_fail: Input should be 'exception'"),
        ({"validators": []}, "options.validators: Tuple should have at least 1 item"),
        ({"validators": [{"class": "no_such:Thing"}]}, r"options\.validators\.0\.class: no module no_such"),
        (options(wrod="x") | {}, None),
    ],
)
def test_a_mistake_is_one_line(stated: dict[str, Any], said: str | None) -> None:
    if said is None:  # guardrails-ai takes any keyword
        judged("guardrails-ai", stated, "fine")
        return
    with pytest.raises(GuardConfigError, match=said):
        judged("guardrails-ai", stated, "text")
