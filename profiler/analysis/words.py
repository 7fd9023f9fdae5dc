"""The words by which a user names a figure on the command line, and where the analysis keeps it."""

from dataclasses import dataclass
from typing import Literal

from profiler.analysis.benefit import ArmBenefit
from profiler.analysis.blocks import TOKENS_PER_S
from profiler.analysis.figure import Figure, not_measured

Kind = Literal["cost", "benefit"]
SHARE = {"%": 0.01, "": 1.0}
_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001}
_MIB = {"MiB": 1.0, "GiB": 1024.0}
_J = {"J": 1.0, "mJ": 0.001}


@dataclass(frozen=True)
class Word:
    """A figure by name: `key` of the tax or of the benefit, its `unit` as printed, and what each unit given stands for.

    `difference`: the benefit's key for the arm less the baseline; empty where the analysis has none.
    """

    name: str
    kind: Kind
    key: str
    unit: str
    units: dict[str, float]
    difference: str = ""


def _latencies() -> list[Word]:
    return [
        Word(f"{short}_{statistic}", "cost", f"{short}_ms.{statistic}", "ms", _MS)
        for short in ("ttft", "tpot", "e2el")
        for statistic in ("mean", "p50", "p90", "p99")
    ]


def _share(name: str, key: str, difference: str = "") -> Word:
    return Word(name, "benefit", key, "%", SHARE, difference)


WORDS: dict[str, Word] = {
    word.name: word
    for word in (
        *_latencies(),
        Word("output_tokens_per_s", "cost", TOKENS_PER_S, "tok/s", {"tok/s": 1.0}),
        Word("memory", "cost", "peak_memory_mib", "MiB", _MIB),
        Word("pss", "cost", "pss_steady_mib", "MiB", _MIB),
        Word("gpu_memory", "cost", "device_memory_mib", "MiB", _MIB),
        Word("cpu_s", "cost", "cpu_s", "s", {"s": 1.0, "ms": 0.001}),
        Word("energy_per_token", "cost", "energy_j_per_token", "J", _J),
        Word("cpu_energy_per_token", "cost", "cpu_energy_j_per_token", "J", _J),
        _share("block_recall", "harmful.blocked"),
        _share("refused_harmful", "harmful.refused", "harmful.refused"),
        _share("over_refusal_benign", "benign.either", "benign.either"),
        _share("over_refusal_borderline", "borderline.either", "borderline.either"),
        _share("attack_success", "attack_success", "harmful.attack_success"),
        _share("attack_success_unsafe", "attack_success_unsafe", "harmful.attack_success_unsafe"),
        Word(
            "unsafe_tokens_exposed", "benefit", "unsafe_tokens_exposed", "tokens", {"tokens": 1.0, "": 1.0},
            "harmful.unsafe_tokens_exposed",
        ),
        *(_share(name, name) for name in ("precision", "recall", "f1", "auprc", "recall_at_1pct_fpr")),
    )
}  # fmt: skip


def benefit_figure(benefit: ArmBenefit | None, word: Word) -> Figure:
    """An arm's own figure of the benefit."""
    if benefit is None:
        return not_measured("this run has no benefit")
    label, _, fate = word.key.partition(".")
    if not fate:
        return benefit.figures.get(word.key, not_measured("this run has no such figure"))
    found: Figure = getattr(benefit.labels[label], fate)
    return found


def benefit_change(benefit: ArmBenefit | None, word: Word) -> Figure:
    """The arm's figure less the baseline's, over the prompts that both have.

    `block_recall` has no difference of its own: the baseline blocks nothing.
    """
    if benefit is None:
        return not_measured("this run has no benefit")
    if word.name == "block_recall":
        return benefit_figure(benefit, word)
    if not word.difference:
        return not_measured(f"{word.name} has no difference to the baseline, which has no guard")
    return benefit.against_baseline.get(word.difference, not_measured("no baseline to compare with"))
