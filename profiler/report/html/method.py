"""What a reader needs to believe a run and to repeat it: validity, limits, machine, versions, scenario, commands."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from profiler.analysis.tax import RunResult
from profiler.records.store import StoredRun
from profiler.report.recorded import recorded_note
from profiler.report.resources import absence_word
from profiler.report.terminal import isolation_note
from profiler.report.text import printable

_MOST_LINES = 400


@dataclass(frozen=True)
class Limits:
    """`broken` rules void the result, `warnings` limit it, `absent` was not measured, each with why."""

    broken: tuple[str, ...]
    warnings: tuple[str, ...]
    absent: tuple[str, ...]


def limits(result: RunResult) -> Limits:
    """Everything that a run's report warns of."""
    findings = [(f.invalid, f"{f.arm}: {f.text.removeprefix('INVALID: ')}") for f in result.findings]
    note, isolation = recorded_note(result.run.manifest), isolation_note(result.run.manifest)
    warm_up = [f"Warm-up: {result.warm_up.why}."] if result.warm_up.blocks else []
    return Limits(
        tuple(text for invalid, text in findings if invalid),
        (
            *(text for text in (note, isolation) if text),
            *warm_up,
            *result.warnings,
            *(text for invalid, text in findings if not invalid),
        ),
        absent(result.run.manifest),
    )


def absent(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What the machine has not measured, and why."""
    return tuple(f"{absence_word(name)}: {why}" for name, why in (manifest.get("not_measured") or {}).items())


def facts(run: StoredRun, sizes: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of names and values: the run with its `sizes`, the model and engine, the machine, the versions."""
    manifest = run.manifest
    whole = {
        "run": manifest.get("id"),
        "started": manifest.get("started"),
        "ended": run.ending,
        **sizes,
        "prompts": ", ".join(f"{label} {count}" for label, count in (manifest.get("prompts") or {}).items()),
        "prompts, SHA-256": manifest.get("prompts_sha256"),
        "git commit": manifest.get("git_commit"),
    }
    groups = [
        ("Run", whole),
        ("Model and engine", manifest.get("facts")),
        ("Machine", manifest.get("machine")),
        ("Guards run on", manifest.get("placements")),
        ("Versions", manifest.get("versions")),
    ]
    return [(title, pairs) for title, found in groups if (pairs := _pairs(found))]


def _pairs(found: Any) -> list[tuple[str, str]]:
    if not isinstance(found, Mapping):
        return []
    return [(str(key).replace("_", " "), _short(value)) for key, value in found.items() if value not in (None, "", {})]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def scenario(run: StoredRun) -> list[str]:
    """The scenario as YAML, a line each; a very long one is cut, and says so."""
    found = run.manifest.get("scenario")
    if not found:
        return []
    lines = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110).splitlines()
    cut = [f"# {len(lines) - _MOST_LINES} more lines in run.json"] if len(lines) > _MOST_LINES else []
    return [*lines[:_MOST_LINES], *cut]


def place(run: StoredRun) -> str:
    """The run as it is named on a command line."""
    return shlex.quote(printable(run.path))


def commands(run: StoredRun, verb: str, flags: str = "") -> list[tuple[str, str]]:
    """What to type, and what it does. `verb` made the run, `flags` are the report's."""
    return [
        *_checkout(run.manifest.get("git_commit")),
        (f"alignment-tax {verb} --scenario scenario.yaml", "the same run again, the scenario below saved so"),
        (f"alignment-tax report {place(run)}{flags}", "this report from the stored run"),
    ]


def _checkout(commit: object) -> list[tuple[str, str]]:
    """A `+` after the commit: the program had changes that nobody can check out."""
    if not commit:
        return []
    said = printable(commit)
    what = "the program as it was" + (", but for local changes that are not stored" if said.endswith("+") else "")
    return [(f"git checkout {shlex.quote(said.removesuffix('+'))}", what)]
