"""The verdict in a sentence an arm: what the tax table claims, put into words, and nothing that it does not."""

import math
from dataclasses import dataclass

from profiler.analysis.comparison import Tax
from profiler.analysis.figure import Figure
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.numbers import percent_with_range, signed
from profiler.scenario import BASELINE

_CLAIMED = ("tax", "saving")
HEADLINES = {
    "ttft_ms.p50": ("TTFT p50", "ms", ("longer", "shorter")),
    "ttft_ms.p99": ("TTFT p99", "ms", ("longer", "shorter")),
    "tpot_ms.mean": ("TPOT mean", "ms", ("longer", "shorter")),
    "e2el_ms.mean": ("E2EL mean", "ms", ("longer", "shorter")),
    "e2el_ms.p99": ("E2EL p99", "ms", ("longer", "shorter")),
    "output_tokens_per_s.mean": ("throughput", "tok/s", ("higher", "lower")),
    "energy_j_per_token": ("GPU energy", "J/token", ("higher", "lower")),
}
"""What the first screen speaks of, where a run has it: name, unit, and the words for more and for less."""


@dataclass(frozen=True)
class Claim:
    """One claimed difference: "tax" or "saving", and the sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class ArmVerdict:
    """One arm. `quiet` names the metrics on which nothing is claimed, `bought` what became of the prompts.

    `estimated`: there is a tax at all.
    """

    place: int
    name: str
    invalid: bool
    claims: tuple[Claim, ...]
    quiet: str
    estimated: bool
    bought: tuple[str, ...]


def verdicts(result: RunResult) -> list[ArmVerdict]:
    """Of every arm but the baseline."""
    return [_verdict(place, arm, result) for place, arm in enumerate(result.arms.values()) if arm.name != BASELINE]


def _verdict(place: int, arm: ArmResult, result: RunResult) -> ArmVerdict:
    known = {key: arm.tax[key] for key in HEADLINES if key in arm.tax}
    quiet = dict[str, list[str]]()
    for key, tax in known.items():
        if tax.verdict not in _CLAIMED:
            quiet.setdefault(tax.verdict, []).append(HEADLINES[key][0])
    return ArmVerdict(
        place,
        arm.name,
        any(finding.invalid and finding.arm in (arm.name, BASELINE) for finding in result.findings),
        tuple(Claim(tax.verdict, _claim(key, tax)) for key, tax in known.items() if tax.verdict in _CLAIMED),
        "; ".join(f"{said} on {', '.join(names)}" for said, names in quiet.items()),
        bool(known),
        tuple(_bought(arm)),
    )


def _claim(key: str, tax: Tax) -> str:
    """The estimate as more or less of it, "61 ms shorter [7, 115]", and relative as the table has it."""
    name, unit, (more, less) = HEADLINES[key]
    sign, word = (1, more) if tax.absolute >= 0 else (-1, less)
    low, high = sorted(sign * end for end in tax.ci95)
    size, low_said, high_said = (_unsigned(text) for text in signed(abs(tax.absolute), low, high))
    relative = ""
    if tax.relative is not None and tax.relative_ci95 is not None:
        relative = f", {percent_with_range(tax.relative, tax.relative_ci95).split(' [')[0]} %"
    return f"{name[:1].upper()}{name[1:]} is {size} {unit} {word} [{low_said}, {high_said}]{relative}"


def _unsigned(text: str) -> str:
    return text.removeprefix("+")


def _bought(arm: ArmResult) -> list[str]:
    if arm.benefit is None:
        return []
    success = arm.benefit.figures["attack_success"]
    change = arm.benefit.against_baseline.get("harmful.attack_success")
    found = []
    if success.interval is not None:
        found.append(f"{_share(success)} of harmful prompts got an answer{_points(change)}")
    refused = arm.benefit.labels["benign"].either
    if refused.interval is not None:
        change = arm.benefit.against_baseline.get("benign.either")
        found.append(f"{_share(refused)} of benign ones did not{_points(change)}")
    return found


def _share(figure: Figure) -> str:
    found = figure.interval
    assert found is not None
    return f"{100 * found.estimate:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _points(change: Figure | None) -> str:
    """In points against the baseline."""
    if change is None or change.interval is None:
        return ""
    found = change.interval
    if not math.isfinite(found.half_width):
        return f" ({100 * found.estimate:+.0f} points against the baseline)"
    estimate, low, high = (round(100 * value) for value in (found.estimate, found.low, found.high))
    return f" ({estimate:+d} points [{low:+d}, {high:+d}] against the baseline)"
