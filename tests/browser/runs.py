"""Stored runs for the page: one with every picture, and one whose every text is hostile."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.analysis import ARMS, info_of, records, synthetic
from benchmarks.report import manifest, samples
from profiler.plan import plan_trials
from profiler.records.record import TrialInfo
from profiler.records.samples import Samples
from profiler.records.store import StoredTrial, create_run, write_ending, write_idle, write_stored
from tests.gate.stored import stored_run

BLOCKS, REQUESTS = 5, 900
RATES = (2.0, 4.0, 8.0)
KV = {"kv_blocks": "400", "kv_block_tokens": "16", "kv_pool_tokens": "6400", "kv_pool_bytes": "1073741824"}
BIDI = "\u202e\u2066\u200f\u2028\u061c"
SCRIPTS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "' onload='window.pwned=1",
    "javascript:window.pwned=1",
    "]]><svg onload=window.pwned=1>{{7*7}}${7*7}",
    f"a{BIDI}b\0c\x1b[31m\x07",
)
EVIL = " ".join(SCRIPTS)
LONG = (EVIL + " ") * (2**20 // len(EVIL))
# What the run is made of, or is asked by: hostile there it would be no run, or another one.
KEPT = frozenset({"kind", "isolation", "attribution", "id", "threshold", "schema"})
Text = Callable[[str], str]


def full_run(folder: Path, name: str = "full") -> Path:
    """Guards, blocked requests, samples of processes and a GPU, offered rates: a picture of each kind."""
    return _write(folder, name, lambda text: text, lambda found: found, lambda column, text, row: text)


def hostile_run(folder: Path) -> Path:
    """The same with markup, scripts, controls, a lone surrogate and texts of 1 MB wherever a text can stand."""
    arms = {arm: arm if arm == "none" else f"{arm} {EVIL}" for arm in (*ARMS, "all")}
    # A file system takes no / and 255 bytes.
    called = '"><img src=x onerror=window.pwned=1>' + BIDI

    def leaf(column: str, text: str, row: int) -> str:
        if column in ("label", "outcome", "stage", "action", "status", "finish_reason") and row % 7:
            return text
        return LONG if row == 3 else arms.get(text, f"{text} {EVIL}")

    return _write(folder, called, lambda arm: arms[arm], lambda found: _everywhere(found, arms), leaf)


def sized_runs(folder: Path) -> list[Path]:
    """Three sizes of model, one arm with a tax and one without, and names that are hostile."""
    facts = {"engine": EVIL, "vllm_version": EVIL, "device_name": EVIL}
    return [
        stored_run(
            folder / f"{i}{SCRIPTS[2]}",
            {"none": base, EVIL: base + 20, "=1+1": base},
            seed=i,
            changed={"facts": facts | {"model": f"{EVIL} {i}", "model_parameters": f"{size:.0f}"}},
        )
        for i, (size, base) in enumerate([(1e8, 200.0), (1e9, 500.0), (1e10, 2000.0)])
    ]


def _everywhere(found: Any, arms: Mapping[str, str], key: str = "") -> Any:
    """Every text of the manifest, and every name that is not a key of the program's own."""
    if isinstance(found, Mapping):
        return {arms.get(name, name): _everywhere(value, arms, name) for name, value in found.items()}
    if isinstance(found, list):
        return [_everywhere(value, arms, key) for value in found]
    if isinstance(found, str) and key not in KEPT and not found.isdigit():
        return arms.get(found, f"{found} {EVIL} \ud800")
    return found


def _write(
    folder: Path, name: str, arm_of: Text, facts: Callable[[Any], Any], leaf: Callable[[str, str, int], str]
) -> Path:
    plan = plan_trials((*ARMS, "all"), BLOCKS, seed=1)
    said = manifest(len(plan))
    said |= {
        "facts": {**KV, "device": "cuda", **dict(said["facts"])},  # type: ignore[call-overload]
        "started": "2026-11-25T18:00:00", "git_commit": "abc", "placements": {"input": "cpu"},
        "not_measured": {"cpu_energy": "no RAPL counter"}, "prompt_notes": ["a note"], "prompts_sha256": "00ff",
    }  # fmt: skip
    changed = facts(said)
    if changed is not said:
        changed |= _more(changed)
    run = create_run(folder, name, changed)
    write_idle(run, samples(0, 5_000_000_000, 0))
    edges = np.linspace(0, REQUESTS, len(plan) + 1).round().astype(int)
    for planned, n in zip(plan, np.diff(edges).tolist(), strict=True):
        trial = synthetic(planned, n)
        info = replace(info_of(planned, trial), arm=arm_of(planned.arm), rate_hz=RATES[planned.block % len(RATES)])
        looked = samples(info.started_ns, info.ended_ns, planned.index)
        table = _changed(records(planned, trial, n), leaf, info)
        write_stored(run, StoredTrial(info, table, _named(looked, facts)))
    write_ending(run, facts("every block was run"))
    if changed is not said:
        _beside(run)
    return run


def _more(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Names and long texts that the program would not have written."""
    return {
        "not_measured": {EVIL: LONG, "gpu": EVIL},
        "machine": {**changed["machine"], EVIL: EVIL, "long": LONG},
        "versions": {**changed["versions"], EVIL: LONG},
        "facts": {**changed["facts"], EVIL: EVIL, "long": LONG, "model": EVIL, "device_name": EVIL},
        "scenario": {**changed["scenario"], EVIL: {EVIL: [EVIL, LONG]}},
        "placements": {EVIL: EVIL},
        "prompts": {EVIL: EVIL},
    }


def _beside(run: Path) -> None:
    """The files that hold text of their own."""
    (run / "resumed.jsonl").write_text(json.dumps({"at": EVIL, "differs": [EVIL, LONG]}) + "\n")
    arms = [
        {"arm": arm, "requests": 4, "seconds": {EVIL: {EVIL: s}}, "missing": {EVIL: LONG}, "folder": EVIL}
        for arm, s in (("none", 0.5), (f"input {EVIL}", 0.9))
    ]
    (run / "stacks.json").write_text(json.dumps({"rate_hz": 100, "arms": arms}))
    trace = {"arm": EVIL, "requests": 4, "device": EVIL, "seconds": {EVIL: 0.1}, "folder": EVIL, "why": LONG}
    (run / "traces.json").write_text(json.dumps([trace]))
    (run / "trials" / "9999.parquet").write_bytes(EVIL.encode())


def _changed(table: pa.Table, leaf: Callable[[str, str, int], str], info: TrialInfo) -> pa.Table:
    rows = [
        {name: _leaves(name, value, i, leaf) for name, value in row.items()} for i, row in enumerate(table.to_pylist())
    ]
    meta = {b"alignment_tax.trial": json.dumps(asdict(info)).encode()}
    return pa.Table.from_pylist(rows, schema=table.schema.with_metadata(meta))


def _leaves(column: str, value: Any, row: int, leaf: Callable[[str, str, int], str]) -> Any:
    if isinstance(value, str):
        return leaf(column, value, row)
    if isinstance(value, list):
        return [_leaves(column, one, row, leaf) for one in value]
    if isinstance(value, dict):
        return {name: _leaves(name, one, row, leaf) for name, one in value.items()}
    return value


def _named(looked: Samples, facts: Callable[[Any], Any]) -> Samples:
    """With the GPU called as the manifest calls it."""
    (gpu,) = looked.facts["gpus"]
    called = facts({"source": gpu["source"]})["source"].replace("\ud800", "")  # Parquet is UTF-8
    keys = tuple((called if source == gpu["source"] else source, name) for source, name in looked.keys)
    return replace(looked, keys=keys, facts={**looked.facts, "gpus": [{**gpu, "source": called}]})
