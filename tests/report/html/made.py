"""A run on the modelled engine, stored as a real one is: with engine calls, spans, verdicts and blocked requests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from guards.controls import ChunkDelay, Delay
from guards.input_classifier import InputClassifier
from profiler.records.store import StoredTrial, create_run, write_stored
from profiler.scenario import load_scenario
from tests.analysis.modelled_run import modelled_run
from tests.analysis.test_ledger import Judge

ARMS = ("none", "delay", "chunk", "block")
JUDGE = {"refusal": {"name": "made", "threshold": 0.5}, "unsafe": {"name": "made", "threshold": 0.5}}


def modelled(folder: Path, *, blocks: int = 3, arms: tuple[str, ...] = ARMS, **changed: Any) -> Path:
    """Half of the prompts are harmful, and the arm `block` blocks these; answers are judged not to refuse."""
    scenario = load_scenario(Path(__file__).parents[3] / "scenarios" / "quickstart.yaml")
    trials = modelled_run(
        scenario.model_copy(update={"keep_text": True}),
        lambda engine: {
            name: guards
            for name, guards in {
                "delay": [Delay(20.0)],
                "chunk": [ChunkDelay(5.0)],
                "block": [InputClassifier(Judge(unsafe=True))],
            }.items()
            if name in arms
        },
        blocks=blocks,
    )
    manifest = {
        "id": folder.name,
        "started": "2026-01-02T03:04:05+00:00",
        "facts": {"model": "a model", "engine": "modelled", "vllm_version": "0.32.0", "device_name": "a cpu"},
        "machine": {"cpu": "a cpu", "cores": 2},
        "versions": {"alignment-tax": "0.1.0"},
        "scenario": scenario.model_dump(mode="json"),
        "arms": [arm for arm in ARMS if arm in arms],
        "judge": JUDGE,
        "not_measured": {"gpu": "no card in a test", "cpu_energy": "no counter in a test"},
        **changed,
    }
    run = create_run(folder.parent, folder.name, manifest)
    for one in trials:
        write_stored(run, _labelled(one))
    return run


def _labelled(one: StoredTrial) -> StoredTrial:
    texts = one.table["prompt"].to_pylist()
    labels = pa.array(["benign" if len(text) % 2 else "harmful" for text in texts]).dictionary_encode()
    columns = {
        "label": labels,
        "answer_refusal": pa.array([0.1] * len(texts)),
        "answer_unsafe": pa.array([0.9] * len(texts)),
    }
    table = one.table
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), values.cast(table.schema.field(name).type))
    return replace(one, table=table)
