"""`make bench-guards` without the published sets says so, and measures the rest."""

from pathlib import Path

import pytest

from benchmarks import guards as bench
from guards.scorers.minilm import MiniLm


def test_figures_that_need_an_absent_file_are_null_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "STRONGREJECT", tmp_path / "strongreject.csv")
    figures = bench.prompt_figures(MiniLm.load())
    assert figures["auroc"] is None and figures["recall_at_1pct_fpr"] is None
    assert figures["over_refusal_borderline"] is not None and figures["over_refusal_borderline"] <= 0.05
    assert "not measured: no strongreject.csv" in capsys.readouterr().out
