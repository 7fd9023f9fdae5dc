"""A user's mistake is one line that names the file or flag and the cure, and exit status 2."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiler.cli import main

ROOT = Path(__file__).parents[2]


def scenario() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        loaded["prompts"][key] = str(ROOT / "scenarios" / loaded["prompts"][key])
    return loaded


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    return lines[0]


def profile_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path, changed: dict[str, Any], *more: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed))
    return refused(capsys, "profile", "--scenario", str(path), "--out", str(tmp_path / "out"), *more)


def test_missing_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "profile", "--scenario", "nowhere.yaml")
    assert "nowhere.yaml" in line
    assert "no such scenario file" in line


def test_broken_yaml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: [unclosed")
    assert f"{path}: not valid YAML" in refused(capsys, "profile", "--scenario", str(path))


def test_unknown_key_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = profile_refuses(capsys, tmp_path, scenario() | {"bloks": 3})
    assert "mine.yaml: bloks: unknown key" in line


def test_wrong_type_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = profile_refuses(capsys, tmp_path, scenario() | {"blocks": "many"})
    assert "mine.yaml: blocks: " in line
    assert "integer" in line


def test_unknown_guard_in_an_arm(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = profile_refuses(capsys, tmp_path, scenario() | {"arms": {"mine": ["inptu"]}})
    assert "arms.mine names the unknown guard `inptu`: there are input, output, rerank" in line


def test_unknown_guard_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = profile_refuses(capsys, tmp_path, scenario(), "--guards", "input,outptu")
    assert "--guards: no guard `outptu`" in line


def test_unknown_engine_argument_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    changed = scenario()
    changed["engine"] = {"tensor_paralel_size": 2}
    line = profile_refuses(capsys, tmp_path, changed)
    assert "engine.tensor_paralel_size is not a vLLM engine argument: did you mean `tensor_parallel_size`?" in line


def test_missing_prompt_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    changed = scenario()
    changed["prompts"]["harmful"] = "gone.jsonl"
    line = profile_refuses(capsys, tmp_path, changed)
    assert "prompts.harmful: cannot read prompt file" in line
    assert "gone.jsonl" in line


def test_bad_prompt_row_names_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "a", "category": "c", "label": "benign", "prompt": "p"}\n{"id": "b"}\n')
    changed = scenario()
    changed["prompts"]["benign"] = str(rows)
    assert "rows.jsonl:2: needs a JSON object with id, category, label, prompt" in profile_refuses(
        capsys, tmp_path, changed
    )


@pytest.mark.parametrize("model", ["/no/such/folder", "./here", "justaname"])
def test_missing_model(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str) -> None:
    pytest.importorskip("vllm")
    line = profile_refuses(capsys, tmp_path, scenario() | {"model": model, "guards": RULES, "arms": {}})
    assert f"MODEL: no folder {model}" in line


def test_a_folder_that_is_no_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    changed = scenario() | {"model": str(tmp_path), "guards": RULES, "arms": {}}
    assert "holds no config.json" in profile_refuses(capsys, tmp_path, changed)


def test_greedy_candidates_would_all_be_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    changed = scenario()
    changed["guards"]["rerank"] |= {"n": 2, "temperature": 0}
    line = profile_refuses(capsys, tmp_path, changed)
    assert "`n` over 1 needs a `temperature` over 0" in line


def test_redaction_cannot_follow_release(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    changed = scenario()
    changed["guards"]["output"] |= {"action": "redact", "release": "first"}
    line = profile_refuses(capsys, tmp_path, changed)
    assert "guards.output" in line
    assert "`action: redact` needs `release: after`" in line


def test_report_of_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no run there" in refused(capsys, "report", str(tmp_path))


def test_wrong_flag_exits_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["profile", "--no-such-flag"])
    assert stopped.value.code == 2


RULES: dict[str, Any] = {"rules": {"kind": "output-filter", "scorer": {"kind": "rules"}}}


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ({"kind": "custom", "class": "no_such_module:Guard"}, "guards.mine.class: no module no_such_module: "),
        (
            {"kind": "input-classifier", "scorer": {"kind": "transformer", "model": "./nowhere"}},
            "scorer {kind: transformer, model: ./nowhere}: no folder ./nowhere, and not a hub id (owner/name): ",
        ),
    ],
)
def test_a_guard_that_cannot_be_loaded_is_said_before_the_engine_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, guard: dict[str, Any], told: str
) -> None:
    pytest.importorskip("vllm")
    changed = scenario() | {"guards": {"mine": guard}, "arms": {}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed))
    assert main(["profile", "--scenario", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "starting vLLM" not in said.out
    assert said.err.splitlines()[-1].startswith(f"alignment-tax: {told}")


def test_an_id_from_a_file_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    row = {"id": "\x1b[2J\u202eevil\n2", "category": "c", "label": "benign", "prompt": "the same"}
    for name in ("mine", "warm"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    changed = scenario()
    changed["prompts"] |= {"benign": "mine.jsonl", "warmup": "warm.jsonl"}
    line = profile_refuses(capsys, tmp_path, changed)
    assert "prompts.warmup: ?[2J?evil?2 is also a trial's prompt" in line


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (
            {"kind": "vllm-judge", "family": "llama-guard-3", "read": "logprob"},
            "scorer vllm-judge, model embedded: family llama-guard-3: label unsafe: none of ['unsafe'] is one token",
        ),
        (
            {"kind": "vllm-head", "family": "shieldgemma", "engine": {"enforce_eagr": True}},
            "guard model embedded: engine.enforce_eagr is not a vLLM engine argument: did you mean `enforce_eager`?",
        ),
        (
            {"kind": "vllm-head", "family": "shieldgemma", "engine": {"runner": "generate"}},
            "guard model embedded: engine.runner cannot be set here",
        ),
        (
            {"kind": "vllm-judge", "family": "shieldgemma", "model": "./nowhere"},
            "guard model ./nowhere: no folder ./nowhere, and not a hub id",
        ),
        (
            {"kind": "vllm-judge", "family": "llama-guard-3", "model": "served", "sampling": {"temprature": 1}},
            "scorer vllm-judge: sampling: ",
        ),
    ],
)
def test_a_guard_model_that_cannot_be_had_is_told_before_any_engine_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scorer: dict[str, Any], said: str
) -> None:
    pytest.importorskip("vllm")
    stated = {"kind": "input-classifier", "scorer": {"model": "embedded", **scorer}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(scenario() | {"guards": {"judge": stated}, "arms": {}}))
    assert main(["profile", "--scenario", str(path), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert said in line
    assert "starting vLLM" not in printed.out
