"""Prompt sets, and the workload that a block draws from them."""

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from profiler.errors import UserError
from profiler.load.schedule import CHARS_PER_TOKEN, fit, lengthened, max_model_len, window
from profiler.load.trace_replay import TraceRow, trace_replay
from profiler.prompt_sets import LABELS, Prompt, read_all, read_labelled
from profiler.scenario import PromptsConfig, Scenario, TraceLoad


@dataclass(frozen=True)
class PromptSets:
    """The prompts of a scenario by label, and the warm-up's; the rows of its trace, if its load is one.

    `notes` say what a user should know of how the sets were read.
    """

    by_label: dict[str, tuple[Prompt, ...]]
    warmup: tuple[Prompt, ...]
    trace: tuple[TraceRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Of everything that a trial may draw from them: the same for the same prompts and trace."""
        return sha256(repr((sorted(self.by_label.items()), self.warmup, self.trace)).encode()).hexdigest()


def read_prompt_sets(scenario: Scenario) -> PromptSets:
    """Read every prompt set of a scenario, and its trace.

    Raises:
        UserError: as `read_labelled` and `trace_replay`; or a warm-up prompt that a trial may use too.
    """
    found = read_labelled(scenario.prompts.sources())
    warmup = read_all(scenario.prompts.warmup, "prompts.warmup")
    used = {p.prompt for prompts in found.by_label.values() for p in prompts}
    for prompt in warmup:
        if prompt.prompt in used:
            raise UserError(f"prompts.warmup: {prompt.id} is also a trial's prompt: warm up with other text")
    notes = (*found.notes, *_absent(scenario.prompts, found.by_label))
    return PromptSets(found.by_label, warmup, _read_trace(scenario), notes)


def _absent(config: PromptsConfig, by_label: dict[str, tuple[Prompt, ...]]) -> list[str]:
    """A share that was asked for and cannot be drawn; a run without one of the two sides.

    Raises:
        UserError: the share was stated.
    """
    for label in ("harmful", "borderline"):
        key = f"{label}_fraction"
        if label not in by_label and key in config.model_fields_set and getattr(config, key) > 0:
            raise UserError(f"prompts.{key}: there is no {label} prompt: name a set under prompts.{label}")
    if "harmful" not in by_label:
        return ["prompts: none is harmful: what a guard blocks rightly is not measured"]
    if len(by_label) == 1:
        return ["prompts: none is harmless: what a guard blocks wrongly is not measured"]
    return []


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
    system = len(scenario.system or "")
    return tuple(_lengthened(prompt, row.prompt_tokens, system) for prompt, row in zip(drawn, rows, strict=True))


def _lengthened(prompt: Prompt, tokens: int, system_chars: int) -> Prompt:
    """The prompt whose last turn, with the turns before it, makes up the tokens."""
    before = system_chars + sum(len(message.content) for message in prompt.before)
    return replace(prompt, prompt=lengthened(prompt.prompt, tokens - before // CHARS_PER_TOKEN))


def _drawn(scenario: Scenario, sets: PromptSets, block: int) -> tuple[Prompt, ...]:
    rng = np.random.default_rng([scenario.seed, block])
    total = scenario.requests_per_trial
    wanted = _wanted(scenario, sets)
    picked = [prompt for label, n in wanted.items() for prompt in _pick(rng, sets.by_label[label], n)]
    return tuple(picked[i] for i in rng.permutation(total))


def _wanted(scenario: Scenario, sets: PromptSets) -> dict[str, int]:
    """How many of each label a block has. What the fractions leave goes to the first of benign, borderline, harmful."""
    total, config = scenario.requests_per_trial, scenario.prompts
    harmful = round(total * config.harmful_fraction) if "harmful" in sets.by_label else 0
    wanted = {"harmful": harmful, "borderline": 0}
    if "borderline" in sets.by_label:
        wanted["borderline"] = min(round(total * config.borderline_fraction), total - harmful)
    rest = next(label for label in LABELS if label in sets.by_label)
    wanted[rest] = wanted.get(rest, 0) + total - sum(wanted.values())
    return {label: n for label, n in wanted.items() if label in sets.by_label}


def _pick(rng: np.random.Generator, prompts: tuple[Prompt, ...], n: int) -> list[Prompt]:
    """`n` prompts without repetition as far as the set reaches."""
    rounds = -(-n // len(prompts))
    order = [i for _ in range(rounds) for i in rng.permutation(len(prompts)).tolist()]
    return [prompts[i] for i in order[:n]]
