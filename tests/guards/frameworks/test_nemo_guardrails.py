"""The adapter against NeMo Guardrails itself, with rails that need no model."""

from pathlib import Path
from typing import Any

import pytest

from guards.loading import GuardConfigError
from guards.subject import Message
from guards.verdict import Action, Status
from tests.guards.frameworks.installed import judged, need

need("nemo-guardrails")
RAILS = """
models: []
rails:
  config:
    regex_detection:
      input: {case_insensitive: true, patterns: ["bomb"]}
      output: {case_insensitive: true, patterns: ["bomb"]}
  input:
    flows: [regex check input, mask input, break down]
  output:
    flows: [regex check output, mask output]
"""
FLOWS = """
define flow mask input
  $user_message = execute mask(text=$user_message)

define flow mask output
  $bot_message = execute mask(text=$bot_message)

define flow break down
  $ok = execute break_down(text=$user_message)
"""
ACTIONS = """
from nemoguardrails.actions import action

@action(name="mask")
async def mask(text):
    return text.replace("1984", "****")

@action(name="break_down")
async def break_down(text):
    if "crash" in text:
        raise RuntimeError("SECRET")
    return True
"""
BEFORE = (Message("system", "be kind"), Message("user", "1984 is a book"), Message("assistant", "it is"))
ASKED = (*BEFORE, Message("user", "since when?"))


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("rails")
    (folder / "config.yml").write_text(RAILS)
    (folder / "flows.co").write_text(FLOWS)
    (folder / "actions.py").write_text(ACTIONS)
    return {"config": str(folder)}


@pytest.mark.parametrize(("side", "rail"), [("prompt", "regex check input"), ("answer", "regex check output")])
def test_a_rail_that_stops_blocks_and_is_named(options: dict[str, Any], side: Any, rail: str) -> None:
    texts = [f"a bomb {i}" if i % 2 else f"fine {i}" for i in range(10)]
    found = judged("nemo-guardrails", options, *texts, side=side, before=BEFORE if side == "prompt" else ASKED)
    for i, one in enumerate(found):
        assert one.verdict.status is Status.OK
        assert (one.verdict.action, one.verdict.p_unsafe) == ((Action.BLOCK, 1.0) if i % 2 else (Action.ALLOW, 0.0))
        assert one.verdict.categories == ((rail,) if i % 2 else ())


def test_a_rail_that_changes_the_text_rewrites_the_last_turn_of_a_prompt(options: dict[str, Any]) -> None:
    (found,) = judged("nemo-guardrails", options, "since 1984", before=BEFORE)
    assert found.score is not None
    assert (found.verdict.action, found.score.rewritten, found.verdict.p_unsafe) == (Action.REWRITE, "since ****", None)


def test_a_rail_that_changes_the_text_redacts_an_answer(options: dict[str, Any]) -> None:
    (found,) = judged("nemo-guardrails", options, "since 1984 here", side="answer", before=ASKED)
    assert (found.verdict.action, [(s.start, s.end) for s in found.verdict.spans]) == (Action.REDACT, [(6, 10)])


def test_a_rail_that_breaks_is_an_error_and_not_a_block(options: dict[str, Any]) -> None:
    (found,) = judged("nemo-guardrails", options, "crash")
    assert (found.verdict.status, found.verdict.p_unsafe) == (Status.ERROR, None)
    assert "break down has broken" in found.verdict.detail and "SECRET" not in found.verdict.detail


def test_rails_for_one_side_only_do_not_judge_the_other(tmp_path: Path) -> None:
    path = tmp_path / "rails.yml"
    path.write_text("models: []\nrails:\n  input:\n    flows: [regex check input]\n")
    (found,) = judged("nemo-guardrails", {"config": str(path)}, "fine", side="answer")
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, r"guards\.mine\.scorer\.options\.config: Field required"),
        ({"config": "gone"}, r"options\.config: no gone: name the folder, or the YAML file, of the rails"),
    ],
)
def test_a_mistake_is_one_line(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(GuardConfigError, match=said):
        judged("nemo-guardrails", stated, "text")


def test_an_unknown_flow_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rails.yml"
    path.write_text("models: []\nrails:\n  input:\n    flows: [no such flow]\n")
    with pytest.raises(GuardConfigError, match=r"nemo-guardrails refuses them: .*no such flow") as caught:
        judged("nemo-guardrails", {"config": str(path)}, "text")
    assert len(str(caught.value).splitlines()) == 1
