"""What a request's latency is, from its record."""

from dataclasses import replace

import pytest

from profiler.analysis.metrics import trial_metrics
from profiler.records.record import Outcome
from tests.analysis.made_trials import MS, request, trial


def test_tpot_is_the_time_after_the_first_piece_over_the_tokens_after_it() -> None:
    # 20 tokens in pieces of 8, 8 and 4, the first at 50 ms and the last at 650 ms: 12 tokens in 600 ms.
    record = request(0, service_ms=650)
    chunked = replace(record, chunk_ns=(record.first_ns, record.first_ns + 1, record.last_ns), chunk_tokens=(8, 8, 4))
    streamed = replace(record, chunk_ns=(record.first_ns,) * 20, chunk_tokens=(1,) * 20)
    whole = replace(record, chunk_ns=(record.last_ns,), chunk_tokens=(20,))
    found = trial_metrics(trial(0, 0, "a", [chunked, streamed, whole])).latency_ms
    assert found["tpot_ms"].tolist() == pytest.approx([600 / 12, 600 / 19])
    assert len(found["ttft_ms"]) == 3


def test_a_request_that_failed_in_mid_stream_has_no_latency() -> None:
    broken = replace(request(1), outcome=Outcome.ERROR, error="gone")
    assert broken.first_ns > 0
    found = trial_metrics(trial(0, 0, "a", [request(0), broken]))
    assert len(found.latency_ms["e2el_ms"]) == 1
    assert found.outcomes["error"] == 1
    assert found.latency_ms["e2el_ms"][0] == pytest.approx(500 * MS / 1e6)
