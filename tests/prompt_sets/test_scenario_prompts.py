"""What a scenario may say of its prompts, and the workload that comes of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from guards.generation import GenerationRequest
from guards.guard import Score
from guards.input_classifier import InputClassifier
from guards.stack import stack
from guards.subject import Message, Subject
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.errors import UserError
from profiler.prompt_sets import Prompt, read_all
from profiler.prompts import PromptSets, draw_workload, read_prompt_sets
from profiler.scenario import Scenario, load_scenario
from profiler.trial import Outcomes, Workload, run_trial

XSTEST = "id,prompt,type,label\n1,Kill a process?,homonyms,safe\n2,Kill a man?,contrast_homonyms,unsafe\n"
TURNS = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "And now?"},
]


def scenario(folder: Path, prompts: Any, **more: Any) -> Scenario:
    path = folder / "s.yaml"
    guards = {"g": {"kind": "input-classifier", "scorer": {"kind": "rules"}}}
    path.write_text(yaml.safe_dump({"name": "s", "prompts": prompts, "guards": guards, **more}))
    return load_scenario(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.csv").write_text(XSTEST)
    (tmp_path / "or-bench-toxic.csv").write_text("prompt,category\nRob a bank,illegal\n")
    row = {"id": "b", "category": "c", "label": "benign", "prompt": "What is rain?"}
    (tmp_path / "benign.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def counts(sets: PromptSets) -> dict[str, int]:
    return {label: len(prompts) for label, prompts in sets.by_label.items()}


@pytest.mark.parametrize(
    "prompts",
    [
        "xstest:x.csv",
        ["xstest:x.csv"],
        {"sets": "xstest:x.csv"},
        {"borderline": "xstest:x.csv", "harmful": ["xstest:x.csv"]},
    ],
)
def test_a_set_that_carries_labels_may_stand_alone(folder: Path, prompts: Any) -> None:
    sets = read_prompt_sets(scenario(folder, prompts))
    assert counts(sets) == {"borderline": 1, "harmful": 1}
    assert len(sets.warmup) >= 24, "the shipped ones, where none are named"


def test_sets_of_several_sources_are_put_together(folder: Path) -> None:
    found = scenario(folder, {"benign": "benign.jsonl", "harmful": ["xstest:x.csv", "or-bench:or-bench-toxic.csv"]})
    sets = read_prompt_sets(found)
    assert counts(sets) == {"benign": 1, "harmful": 2}
    assert "prompts.harmful: xstest:" in sets.notes[0]


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        ({"harmful": "harmbnech:x.csv"}, "prompts.harmful.0: no prompt set `harmbnech`: there are xstest, harmbench"),
        ({"harmful": "harmbench:"}, "names no file: give `harmbench:file.csv`, or `harmbench:hub`"),
        ({"harmful": "harmbench:hub:nowhere"}, "`nowhere` is no hub id"),
        ({"harmful": ""}, "names no file"),
        ({}, "names no prompt set"),
        ({"harmful": "xstest:x.csv", "warmup": []}, "warmup: names no prompt set"),
    ],
)
def test_a_wrong_reference_is_one_line(folder: Path, prompts: Any, says: str) -> None:
    with pytest.raises(UserError) as refused:
        scenario(folder, prompts)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_share_that_cannot_be_drawn_is_refused(folder: Path) -> None:
    found = scenario(folder, {"benign": "benign.jsonl", "harmful_fraction": 0.5})
    with pytest.raises(UserError, match=r"prompts\.harmful_fraction: there is no harmful prompt"):
        read_prompt_sets(found)


def test_what_the_fractions_leave_goes_to_a_label_that_is_there(folder: Path) -> None:
    found = scenario(folder, {"sets": "xstest:x.csv", "harmful_fraction": 0.25}, requests_per_trial=8)
    drawn = draw_workload(found, read_prompt_sets(found), 0)
    assert Counter(prompt.label for prompt in drawn) == {"harmful": 2, "borderline": 6}
    alone = scenario(folder, {"harmful": "xstest:x.csv"}, requests_per_trial=3)
    sets = read_prompt_sets(alone)
    assert Counter(prompt.label for prompt in draw_workload(alone, sets, 0)) == {"harmful": 3}
    assert sets.notes[-1] == "prompts: none is harmless: what a guard blocks wrongly is not measured"


def conversation(folder: Path, row: dict[str, Any]) -> Prompt:
    path = folder / "talk.jsonl"
    path.write_text(json.dumps({"id": "t", "category": "c", "label": "benign", **row}) + "\n")
    return read_all([str(path)], "prompts.benign")[0]


@pytest.mark.parametrize(
    "row",
    [{"messages": TURNS}, {"messages": TURNS, "prompt": "And now?"}, {"messages": TURNS[:-1], "prompt": "And now?"}],
)
def test_a_row_may_be_a_conversation(tmp_path: Path, row: dict[str, Any]) -> None:
    prompt = conversation(tmp_path, row)
    assert [(m.role, m.content) for m in prompt.messages] == [(t["role"], t["content"]) for t in TURNS]
    assert prompt.prompt == "And now?"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"messages": TURNS[:-1]}, "messages must end with the user's turn"),
        ({"messages": TURNS, "prompt": "else"}, "prompt is not the last turn of messages"),
        ({"messages": [TURNS[1], TURNS[0], TURNS[3]]}, "messages.1: a system turn comes first"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0: needs role (system, user, assistant)"),
        ({"messages": "hello"}, "messages must be a list of {role, content}"),
        ({"messages": []}, "messages must be a list of {role, content}"),
        ({}, "needs a JSON object with id, category, label, prompt"),
    ],
)
def test_a_wrong_conversation_names_its_row(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as refused:
        conversation(tmp_path, row)
    assert f"talk.jsonl:1: {says}" in str(refused.value)


class Listener:
    """Remembers what it was asked."""

    max_match_chars = 0

    def __init__(self) -> None:
        self.heard: list[Subject] = []

    async def score(self, subject: Subject) -> Score:
        self.heard.append(subject)
        return Score(0.0, now_ns(), now_ns(), now_ns())


def sent(found: Scenario, *prompts: Prompt) -> tuple[list[Subject], list[GenerationRequest]]:
    """What an input guard and the engine see of the prompts."""
    listener, requests = Listener(), list[GenerationRequest]()

    def script(request: GenerationRequest, index: int) -> None:
        requests.append(request)

    async def work() -> Outcomes:
        engine = ModelledEngine(now_ns=now_ns, script=script)
        guarded = stack(Tap(engine), [InputClassifier(listener)])
        return await run_trial(guarded, Workload(found, prompts, 0), "t", watch=lambda record: None, now_ns=now_ns)

    assert all(record.outcome == "passed" for record in run_virtual(work).records)
    return listener.heard, requests


def test_an_input_guard_and_the_engine_see_the_whole_conversation(folder: Path) -> None:
    prompt = conversation(folder, {"messages": TURNS})
    heard, requests = sent(scenario(folder, "xstest:x.csv"), prompt)
    assert heard[0].conversation == requests[0].messages == prompt.messages
    assert heard[0].text == "Hello\nAnd now?", "every turn of the user's"


def test_the_scenarios_system_prompt_begins_those_that_have_none(folder: Path) -> None:
    mine = conversation(folder, {"messages": TURNS})
    plain = Prompt("p", "c", "benign", "What is rain?")
    heard, _ = sent(
        scenario(folder, "xstest:x.csv", system="Be kind.", load={"kind": "closed", "users": 1}), plain, mine
    )
    assert heard[0].conversation == (Message("system", "Be kind."), Message("user", "What is rain?"))
    assert heard[1].conversation[0] == Message("system", "You are terse.")


def test_a_trace_lengthens_the_last_turn_of_a_conversation(folder: Path) -> None:
    (folder / "trace.csv").write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,100,4\n2023-11-16 18:15:47,100,4\n"
    )
    prompt = conversation(folder, {"messages": TURNS})
    found = scenario(folder, "xstest:x.csv", load={"kind": "trace", "file": "trace.csv"}, requests_per_trial=2)
    sets = read_prompt_sets(found)
    sets = PromptSets({"benign": (prompt,)}, sets.warmup, sets.trace)
    for drawn in draw_workload(found, sets, 0):
        assert drawn.before == prompt.before
        assert drawn.prompt.startswith("And now? And now?")
        assert 96 <= sum(len(message.content) for message in drawn.messages) / 4 <= 104


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    row = {"id": "u", "category": "c", "label": "benign", "prompt": "one\u2028two\x85three"}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\r\n", encoding="utf-8", newline="")
    assert read_all([str(path)], "prompts.benign")[0].prompt == row["prompt"]
