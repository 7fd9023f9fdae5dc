"""From what guards hold to the blocks that it takes: on the host, on a card, on several."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from profiler.analysis.displacement import ALL_GUARDS, KvDisplacement, displacement_of, lengths_of
from profiler.analysis.kv_pool import Footprint, Pool, displaced, footprint_of, left_utilisation, pool_of
from profiler.analysis.metrics import trial_metrics
from profiler.analysis.process_use import CardMemory, Memory
from profiler.analysis.resources import TrialResources
from profiler.meters.not_measured import NotMeasured
from profiler.report.as_json import to_json
from profiler.report.displacement import print_displacement
from tests.analysis.made_trials import request, trial
from tests.report.results import arm, result

FACTS = {
    "device": "cuda", "kv_blocks": "1000", "kv_pool_tokens": "16000", "kv_pool_bytes": str(2000 << 20),
    "kv_workers": "2", "device_total_bytes": str(2 * (80 << 30)), "gpu_memory_utilization": "0.9",
}  # fmt: skip


def held(**changed: object) -> TrialResources:
    nothing = TrialResources(None, None, {}, {}, {}, {}, (), None)
    return replace(nothing, **changed)  # type: ignore[arg-type]


def pool(**facts: str) -> Pool:
    found = pool_of({**FACTS, **facts})
    assert isinstance(found, Pool)
    return found


def test_a_block_is_on_every_workers_card_and_in_the_hosts_memory_once() -> None:
    assert displaced(pool(), 10.5).blocks == 11  # 1 MiB of a block on each card
    assert displaced(pool(device="cpu"), 10.5).blocks == 6
    taken = displaced(pool(), 100)
    assert (taken.tokens, taken.share) == (1600, 0.1)


def test_hybrid_models_count_tokens_as_the_engine_does() -> None:
    assert displaced(pool(kv_pool_tokens="20000"), 100).tokens == 2000


def test_on_the_host_only_the_guards_processes_count() -> None:
    pss = {"driver": Memory(900, 900), "guard_workers": Memory(90, 80), "guard_engines": Memory(50, 40)}
    assert footprint_of(held(pss=pss), pool(device="cpu")) == Footprint(120, "PSS")
    assert footprint_of(held(pss={"driver": Memory(9, 9)}), pool(device="cpu")) == Footprint(0, "PSS")
    assert isinstance(footprint_of(held(), pool(device="cpu")), NotMeasured)


def test_on_cards_the_fullest_of_the_engines_counts() -> None:
    cards = {"gpu0": CardMemory(5000, 100.0), "gpu1": CardMemory(5000, 300.0), "gpu2": CardMemory(5000, 900.0)}
    assert footprint_of(held(cards=cards), pool()) == Footprint(300, "NVML by process")
    assert footprint_of(held(cards=cards), pool(kv_workers="1")) == Footprint(100, "NVML by process")


def test_where_no_process_is_told_apart_the_card_before_is_taken_off() -> None:
    before = held(cards={"gpu0": CardMemory(1000, None), "gpu1": CardMemory(1000, None)})
    after = held(cards={"gpu0": CardMemory(1400, None), "gpu1": CardMemory(1000, None)})
    assert footprint_of(after, pool(), before) == Footprint(400, "card")
    found = footprint_of(after, pool())
    assert isinstance(found, NotMeasured) and "which processes" in found.why
    assert isinstance(footprint_of(held(), pool(), before), NotMeasured)


def test_the_engines_share_of_a_card_shrinks_by_the_guards() -> None:
    assert left_utilisation(FACTS, pool(), 8 << 10) == pytest.approx(0.8)
    assert left_utilisation(FACTS, pool(device="cpu"), 8 << 10) is None


@pytest.mark.parametrize("key", ["kv_blocks", "kv_pool_bytes"])
def test_an_engine_that_does_not_tell_its_pool_is_not_measured(key: str) -> None:
    found = pool_of({name: value for name, value in FACTS.items() if name != key})
    assert isinstance(found, NotMeasured) and key in found.why


def shared() -> KvDisplacement | NotMeasured:
    pss = {"guard_workers": Memory(60, 50)}
    made = [trial(i, i, "none", [request(0)]) for i in range(3)]
    trials = [replace(trial_metrics(one), resources=held(pss=pss)) for one in made]
    manifest = {"facts": {**FACTS, "device": "cpu"}}
    return displacement_of(manifest, (), trials, [lengths_of(one) for one in made])


def test_a_shared_run_computes_it_for_all_guards_and_says_so() -> None:
    found = shared()
    assert isinstance(found, KvDisplacement)
    assert list(found.arms) == [ALL_GUARDS] and found.arms[ALL_GUARDS].blocks == 25
    console = Console(width=80, record=True, file=io.StringIO())
    made = replace(result(arm("none"), arm("input")), displacement=found)
    print_displacement(made, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "is computed, not contended" in " ".join(text.split())
    assert "preemptions" not in text
    assert to_json(made)["kv_displacement"]["computed"] is True


def test_what_is_not_measured_is_said_once_with_its_reason() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_displacement(replace(result(arm("none")), displacement=NotMeasured("no pool")), console)
    assert console.export_text().strip() == "KV displacement (n/m): not measured: no pool"
    assert to_json(result(arm("none")))["kv_displacement"]["pool"] is None
