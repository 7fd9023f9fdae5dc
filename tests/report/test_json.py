"""The JSON document: schema 1 grows and never loses a key; what is unbounded or unmeasured is null."""

import json
import math
from dataclasses import replace

from profiler.analysis.ledger_entries import Waste
from profiler.analysis.stats import Interval
from profiler.analysis.validity import Finding
from profiler.report.as_json import to_json
from tests.report.results import arm, ledger, result


def test_what_schema_1_promised_is_still_there() -> None:
    document = to_json(result(arm("none"), arm("input")))
    assert document["schema"] == 1
    assert document["run"]["blocks"] == 6
    assert document["baseline"] == "none"
    found = document["arms"]["input"]
    assert found["outcomes"] == {"passed": 90, "blocked": 10, "redacted": 0, "reranked": 0, "error": 0}
    for metric in ("ttft_ms", "tpot_ms", "e2el_ms"):
        assert {"mean", "p50", "p99", "p99_bounded", "count"} <= found["metrics"][metric].keys()
    assert {"output_tokens_per_s", "peak_memory_mib", "energy_j_per_token"} <= found["metrics"].keys()
    assert found["tax"]["ttft_ms.p50"]["absolute"] == 20
    assert found["tax"]["ttft_ms.p50"]["relative"] == 0.02
    assert found["tax"]["ttft_ms.p50"]["ci95"] == [18, 22]
    assert found["not_measured"]["energy_j_per_token"] == "no meter here"


def test_statistics_and_ledger_are_there() -> None:
    found = to_json(result(arm("none"), arm("input")))["arms"]["input"]
    assert found["metrics"]["ttft_ms"]["p90"] > found["metrics"]["ttft_ms"]["p50"]
    low, high = found["metrics"]["ttft_ms"]["ci95"]["p99"]
    assert low < found["metrics"]["ttft_ms"]["p99"] < high
    assert found["tax"]["ttft_ms.p50"]["verdict"] == "tax"
    assert found["tax"]["ttft_ms.p50"]["p_holm"] == 0.004
    assert found["tax"]["ttft_ms.p50"]["mde"] == 3
    entries = found["ledger"]["e2el_ms"]
    parts = [entries[name]["estimate"] for name in ("direct", "induced", "waste", "saved", "residual")]
    assert sum(parts) == entries["measured"]["estimate"] == 30
    assert entries["residual"]["ci95"] == [-0.5, 2.5]
    assert entries["stages_ms"]["prefill"] == 19
    assert entries["contention"]["estimate"] == 0.25
    assert entries["by_difference"] is False
    assert found["waste"] == {
        "tokens": 25, "generated_tokens": 100, "engine_s": 1.5, "energy_j": None, "saved_tokens": 40,
    }  # fmt: skip


def test_validity_is_said() -> None:
    broken = (Finding("lag", "none", "INVALID: requests were sent late", True),)
    document = to_json(result(arm("none"), findings=broken, cut=(0,)))
    assert document["valid"] is False
    assert document["findings"][0]["rule"] == "lag"
    assert "none: INVALID: requests were sent late" in document["warnings"]
    assert document["warm_up"]["cut_blocks"] == [0]
    assert to_json(result(arm("none")))["valid"] is True


def test_infinity_is_null() -> None:
    open_ended = replace(ledger("input"), residual=Interval(1.0, -math.inf, math.inf, 0.95))
    one = replace(arm("input", requests=20), ledger={"ttft_ms": open_ended}, waste=Waste(0, 0, None, None, 0))
    document = to_json(result(arm("none"), one))
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text)["arms"]["input"]["ledger"]["ttft_ms"]["residual"]["ci95"] == [None, None]
    assert document["arms"]["input"]["metrics"]["ttft_ms"]["ci95"]["p99"][1] is None
