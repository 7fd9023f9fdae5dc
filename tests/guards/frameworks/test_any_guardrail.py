"""The adapter against any-guardrail itself: its moderation guard asks a server on loopback."""

import asyncio
import json
from typing import Any

import pytest

from guards.check import Check, Policy, check
from guards.loading import GuardConfigError
from guards.scorers.callable import CallableScorer
from guards.scorers.frameworks import framework_function
from guards.subject import Message, Subject
from guards.verdict import Action, Status
from tests.guards.endpoint_server import Asked, Reply, Server
from tests.guards.frameworks.installed import judged, need

need("any-guardrail")


def moderated(asked: Asked) -> Reply:
    p = 0.9 if "bomb" in asked.body["input"] else 0.1
    result = {"flagged": p > 0.5, "categories": {"violence": p > 0.5}, "category_scores": {"violence": p}}
    body = {"id": "x", "model": "m", "results": [{**result, "category_applied_input_types": {}}]}
    return Reply(json.dumps(body).encode(), close=True)


def ask(subject: Subject, answer: Any = moderated) -> tuple[Check, list[Asked]]:
    async def work() -> tuple[Check, list[Asked]]:
        async with Server(answer) as server:
            options = {"guardrail": "openai_moderation", "create": {"base_url": server.url}}
            scorer = CallableScorer(framework_function("any-guardrail", options, "guards.mine.scorer"))
            return await check(scorer, subject, Policy(on_error="closed")), server.asked

    return asyncio.run(work())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def test_what_is_not_valid_is_blocked_with_its_score_and_categories() -> None:
    found, _ = ask(Subject("a bomb"))
    assert (found.verdict.action, found.verdict.p_unsafe, found.verdict.categories) == (
        Action.BLOCK,
        0.9,
        ("violence",),
    )
    found, _ = ask(Subject("fine"))
    assert (found.verdict.action, found.verdict.p_unsafe, found.verdict.categories) == (Action.ALLOW, 0.1, ())


def test_a_guard_of_one_text_judges_an_answer_alone() -> None:
    turns = (Message("user", "a bomb"), Message("assistant", "fine"))
    found, asked = ask(Subject("fine", "answer", turns))
    assert (found.verdict.action, [one.body["input"] for one in asked]) == (Action.ALLOW, ["fine"])


def test_a_guard_that_fails_is_an_error() -> None:
    found, _ = ask(Subject("fine"), lambda asked: Reply(b"{}", 401, close=True))
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"guards\.mine\.scorer\.options\.guardrail: Field required"),
        ({"guardrail": "nope"}, "any-guardrail refuses them: ValueError: 'nope' is not a valid GuardrailName"),
        ({"guardrail": "openai_moderation", "create": {"models": 3}}, "any-guardrail refuses them: TypeError"),
        ({"guardrail": "lakera_guard"}, "any-guardrail refuses them: .*LAKERA_API_KEY"),
    ],
)
def test_a_mistake_is_one_line(options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKERA_API_KEY", raising=False)
    with pytest.raises(GuardConfigError, match=said) as caught:
        judged("any-guardrail", options, "text")
    assert len(str(caught.value).splitlines()) == 1
