"""Prompt sets, and the workload that a block draws from them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from profiler.errors import UserError
from profiler.load.schedule import fit, lengthened, max_model_len, window
from profiler.load.trace_replay import TraceRow, trace_replay
from profiler.scenario import Scenario, TraceLoad

LABELS = ("benign", "borderline", "harmful")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of a prompt file."""

    id: str
    category: str
    label: str
    prompt: str


@dataclass(frozen=True)
class PromptSets:
    """The prompts of a scenario by label, and the warm-up's; the rows of its trace, if its load is one."""

    by_label: dict[str, tuple[Prompt, ...]]
    warmup: tuple[Prompt, ...]
    trace: tuple[TraceRow, ...] = ()


def read_prompts(path: Path, where: str) -> tuple[Prompt, ...]:
    """Read a JSON Lines prompt file: `id`, `category`, `label`, `prompt` in each row.

    Raises:
        UserError: the file, the line and the cure.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{where}: cannot read prompt file {path}: {error.strerror}") from error
    found = tuple(_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip())
    if not found:
        raise UserError(f"{where}: {path} holds no prompt: add one JSON object a line")
    return found


def _row(line: str, where: str) -> Prompt:
    try:
        row = json.loads(line)
        prompt = Prompt(*(row[key] for key in ("id", "category", "label", "prompt")))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{where}: needs a JSON object with id, category, label, prompt ({error})") from error
    if not all(isinstance(value, str) for value in (prompt.id, prompt.category, prompt.prompt)):
        raise UserError(f"{where}: id, category and prompt must be text")
    if prompt.label not in LABELS:
        raise UserError(f"{where}: label `{prompt.label}` is not one of {', '.join(LABELS)}")
    return prompt


def read_prompt_sets(scenario: Scenario) -> PromptSets:
    """Read every prompt file of a scenario, and its trace.

    Raises:
        UserError: as `read_prompts` and `trace_replay`; or a warm-up prompt that a trial may use too.
    """
    files = scenario.prompts
    by_label = {
        label: read_prompts(path, f"prompts.{label}") for label in LABELS if (path := getattr(files, label)) is not None
    }
    warmup = read_prompts(files.warmup, "prompts.warmup")
    used = {p.prompt for prompts in by_label.values() for p in prompts}
    for prompt in warmup:
        if prompt.prompt in used:
            raise UserError(f"prompts.warmup: {prompt.id} is also a trial's prompt: warm up with other text")
    return PromptSets(by_label, warmup, _read_trace(scenario))


def _read_trace(scenario: Scenario) -> tuple[TraceRow, ...]:
    load = scenario.load
    return trace_replay(load.file, load.time_scale, load.limit) if isinstance(load, TraceLoad) else ()


def trace_note(scenario: Scenario, sets: PromptSets) -> str:
    """What a user should know of how the trace is replayed; empty if it is, row by row, as recorded."""
    limit = max_model_len(scenario.engine)
    fitted = [fit(row, limit) for row in sets.trace]
    cut = sum(
        new.prompt_tokens < row.prompt_tokens or new.output_tokens < row.output_tokens
        for row, new in zip(sets.trace, fitted, strict=True)
    )
    if not cut:
        return ""
    return f"load.file: {cut} of {len(sets.trace)} rows are longer than engine.max_model_len {limit} allows: cut to fit"


def trace_rows(scenario: Scenario, sets: PromptSets, block: int) -> tuple[TraceRow, ...]:
    """The block's rows of the trace, with lengths that the engine takes; empty without a trace."""
    if not sets.trace:
        return ()
    limit = max_model_len(scenario.engine)
    return tuple(fit(row, limit) for row in window(sets.trace, scenario.requests_per_trial, block))


def draw_workload(scenario: Scenario, sets: PromptSets, block: int) -> tuple[Prompt, ...]:
    """The prompts of a block, in order: every arm of the block gets these. Seeded by scenario and block.

    Of a trace's length, where there is one: lengthened with their own words.
    """
    drawn = _drawn(scenario, sets, block)
    rows = trace_rows(scenario, sets, block)
    if not rows:
        return drawn
    return tuple(
        replace(prompt, prompt=lengthened(prompt.prompt, row.prompt_tokens))
        for prompt, row in zip(drawn, rows, strict=True)
    )


def _drawn(scenario: Scenario, sets: PromptSets, block: int) -> tuple[Prompt, ...]:
    rng = np.random.default_rng([scenario.seed, block])
    total = scenario.requests_per_trial
    harmful = round(total * scenario.prompts.harmful_fraction)
    wanted = {"harmful": harmful, "borderline": 0}
    if "borderline" in sets.by_label:
        wanted["borderline"] = min(round(total * scenario.prompts.borderline_fraction), total - harmful)
    wanted["benign"] = total - sum(wanted.values())
    picked = [prompt for label, n in wanted.items() for prompt in _pick(rng, sets.by_label[label], n)]
    return tuple(picked[i] for i in rng.permutation(total))


def _pick(rng: np.random.Generator, prompts: tuple[Prompt, ...], n: int) -> list[Prompt]:
    """`n` prompts without repetition as far as the set reaches."""
    rounds = -(-n // len(prompts))
    order = [i for _ in range(rounds) for i in rng.permutation(len(prompts)).tolist()]
    return [prompts[i] for i in order[:n]]
