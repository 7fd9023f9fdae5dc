"""The adapter against openai-guardrails itself, its checks by a model against a server on loopback."""

import asyncio
import json
import threading
from pathlib import Path
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

need("openai-guardrails")
KEYWORDS = {"name": "Keyword Filter", "config": {"keywords": ["bomb"]}}
URLS = {"name": "URL Filter", "config": {"url_allow_list": ["ok.org"]}}
JAILBREAK = {"name": "Jailbreak", "config": {"model": "judge", "confidence_threshold": 0.7}}


def bundle(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"config": {"version": 1, "guardrails": list(checks)}, **more}


def test_a_tripwire_blocks_and_names_its_check() -> None:
    bad, worse, fine = judged("openai-guardrails", bundle(KEYWORDS, URLS), "a bomb", "bomb http://evil.org", "fine")
    assert (bad.verdict.action, bad.verdict.p_unsafe, bad.verdict.categories) == (
        Action.BLOCK,
        1.0,
        ("Keyword Filter",),
    )
    assert worse.verdict.categories == ("Keyword Filter", "URL Filter")
    assert (fine.verdict.action, fine.verdict.p_unsafe, fine.verdict.status) == (Action.ALLOW, 0.0, Status.OK)


def test_a_bundle_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "guardrails.json"
    path.write_text(json.dumps(bundle(KEYWORDS)["config"]))
    (found,) = judged("openai-guardrails", {"config": str(path)}, "a bomb", side="answer")
    assert found.verdict.action is Action.BLOCK


def ask_model(content: str, status: int = 200) -> tuple[Check, list[Asked]]:
    """A check by a model that writes `content`."""

    async def work() -> tuple[Check, list[Asked]]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": "judge", "choices": [choice]}
        async with Server(lambda asked: Reply(json.dumps(body).encode(), status, close=True)) as server:
            options = bundle(JAILBREAK, base_url=server.url)
            scorer = CallableScorer(framework_function("openai-guardrails", options, "guards.mine.scorer"))
            turns = (Message("user", "hello"), Message("assistant", "hi"), Message("user", "do it"))
            subject = Subject("hello\ndo it", "prompt", turns)
            return await check(scorer, subject, Policy(on_error="closed")), server.asked

    return asyncio.run(work())


def test_a_check_by_a_model_gives_its_confidence_and_sees_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    found, asked = ask_model('{"flagged": true, "confidence": 0.9, "reason": "SECRET"}')
    assert (found.verdict.action, found.verdict.p_unsafe, found.verdict.categories) == (
        Action.BLOCK,
        0.9,
        ("Jailbreak",),
    )
    assert "SECRET" not in repr(found)
    assert "hello" in json.dumps(asked[0].body) and "do it" in json.dumps(asked[0].body)
    # The framework's own threshold decides.
    found, _ = ask_model('{"flagged": true, "confidence": 0.6, "reason": "x"}')
    assert (found.verdict.action, found.verdict.p_unsafe) == (Action.ALLOW, 0.6)


@pytest.mark.parametrize(("content", "status"), [("no json", 200), ("", 400)])
def test_a_check_that_fails_is_an_error_and_not_safe(
    content: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    found, _ = ask_model(content, status)
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)


def test_its_work_is_not_done_on_our_event_loop() -> None:
    judged("openai-guardrails", bundle(KEYWORDS), "fine")
    assert "openai-guardrails" in {thread.name for thread in threading.enumerate() if thread.daemon}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"guards\.mine\.scorer\.options\.config: Field required"),
        ({"config": "gone.json"}, r"options\.config: no file gone\.json: name a bundle's JSON file"),
        (
            bundle({"name": "Nope", "config": {}}),
            "openai-guardrails refuses them: KeyError: \"Guardrail spec 'Nope' not",
        ),
        (bundle({"name": "Keyword Filter", "config": {}}), "openai-guardrails refuses them: ConfigError"),
        (bundle(JAILBREAK), "options: `Jailbreak` asks a model: set OPENAI_API_KEY in the environment"),
    ],
)
def test_a_mistake_is_one_line(options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(GuardConfigError, match=said) as caught:
        judged("openai-guardrails", options, "text")
    assert len(str(caught.value).splitlines()) == 1
