"""Where each guard runs, in a word."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from guards.config import EmbeddingConfig, GuardConfig, placement, placements

GUARD: TypeAdapter[GuardConfig] = TypeAdapter(GuardConfig)
JUDGE = {"kind": "vllm-judge", "model": "some/guard", "family": "llama-guard-3"}
ENDPOINT = {"kind": "endpoint", "url": "https://guard.example/v1", "model": "m", "family": "llama-guard-3"}


def place(guard: dict[str, Any], device: str = "cpu") -> str:
    return placements({"g": GUARD.validate_python(guard)}, device)["g"]


@pytest.mark.parametrize(
    ("scorer", "on_cpu", "on_gpu"),
    [
        ({"kind": "embedding"}, "cpu", "cpu"),
        ({"kind": "rules"}, "cpu", "cpu"),
        (JUDGE, "cpu", "generator-gpu"),
        (JUDGE | {"model": "served"}, "generator", "generator"),
        ({**JUDGE, "kind": "vllm-head"}, "cpu", "generator-gpu"),
        (ENDPOINT, "endpoint", "endpoint"),
        ({"kind": "callable", "function": "m:f"}, "driver", "driver"),
        ({"kind": "cascade", "cascade": [{"kind": "rules"}, ENDPOINT]}, "cpu+endpoint", "cpu+endpoint"),
    ],
)
def test_a_guard_runs_where_its_scorer_does(scorer: dict[str, Any], on_cpu: str, on_gpu: str) -> None:
    guard = {"kind": "input-classifier", "scorer": scorer}
    assert (place(guard), place(guard, "cuda")) == (on_cpu, on_gpu)


def test_a_guard_of_several_scorers_names_each_place_once() -> None:
    assert place({"kind": "refusal-reranker"}) == "cpu"
    assert place({"kind": "refusal-reranker", "harm": JUDGE | {"model": "served"}}) == "cpu+generator"
    assert place({"kind": "custom", "class": "m:C"}) == "driver"


def test_a_parallel_guard_runs_where_its_members_do() -> None:
    one, two = ({"kind": "input-classifier", "scorer": scorer} for scorer in ({"kind": "rules"}, ENDPOINT))
    stated = {"one": one, "two": two, "both": {"kind": "parallel", "guards": ["one", "two"]}}
    found = placements({name: GUARD.validate_python(guard) for name, guard in stated.items()}, "cpu")
    assert found["both"] == "cpu+endpoint"


class Placed(EmbeddingConfig):
    """A scorer that states its device."""

    device: str


@pytest.mark.parametrize(
    ("stated", "generator", "said"),
    [
        ("cpu", "cuda", "cpu"),
        ("cuda", "cuda", "generator-gpu"),
        ("cuda:0", "cuda", "generator-gpu"),
        ("cuda:1", "cuda", "cuda:1"),
        ("cuda:0", "cpu", "cuda:0"),
    ],
)
def test_a_stated_device_is_the_place_unless_it_is_the_generators_card(stated: str, generator: str, said: str) -> None:
    assert placement(Placed(kind="embedding", device=stated), generator) == said
