"""The whole quickstart, shrunk, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def alignment_tax(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "profiler.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("quickstart")
    scenario = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    prompts = scenario["prompts"]
    for key in ("benign", "borderline", "harmful", "warmup"):
        prompts[key] = str(ROOT / "scenarios" / prompts[key])
    scenario |= {"blocks": 2, "requests_per_trial": 4, "warmup_requests": 1}
    scenario["output"] = {"length": "fixed", "max_tokens": 8}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(scenario, sort_keys=False))
    return alignment_tax("profile", "--scenario", str(path), "--out", str(folder / "out")), folder / "out"


def test_it_prints_the_table_and_says_where_the_run_lies(
    finished: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, out = finished
    assert done.returncode == 0, done.stderr
    assert "Tax against the baseline" in done.stdout
    assert "no tax is claimed on it" in done.stdout
    assert str(out) in done.stdout
    assert "Traceback" not in done.stderr


def test_the_stored_run_is_reported_again_as_json(
    finished: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done = alignment_tax("report", str(finished[1] / "latest"), "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["baseline"] == "none"
    assert document["run"]["engine"] == "vllm"
    assert document["run"]["model_parameters"] == "134515008"
    assert list(document["arms"]) == ["none", "input", "output", "rerank", "all"]
    none = document["arms"]["none"]
    assert (none["requests"], none["outcomes"]["passed"]) == (16, 16)
    assert none["metrics"]["ttft_ms"]["p99_bounded"] is False
    for name, arm in document["arms"].items():
        assert arm["outcomes"]["error"] == 0, name
        if arm["metrics"]["energy_j_per_token"] is None:
            assert arm["not_measured"]["energy_j_per_token"]
        assert arm["benefit"]["attack_success"]["estimate"] is not None, name
        assert arm["benefit"]["prompts"]["harmful"] > 0
    for name in ("input", "output", "rerank", "all"):
        tax = document["arms"][name]["tax"]["ttft_ms.p50"]
        low, high = tax["ci95"]
        assert low <= tax["absolute"] <= high
    # An answer released whole cannot come sooner than one that streams.
    assert document["arms"]["rerank"]["tax"]["ttft_ms.p50"]["absolute"] > 0
