"""The verdict in a sentence an arm: what the tax table claims, put into words, and nothing that it does not."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from profiler.analysis.block_resources import BY_ROLE
from profiler.analysis.comparison import MORE_IS_BETTER, Tax
from profiler.analysis.figure import Figure
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.numbers import percent_with_range, signed, with_range
from profiler.report.tax_table import SHOWN
from profiler.scenario import BASELINE

_UNKNOWN = "interval not known"
HEADLINES = {
    "ttft_ms.p50": ("TTFT p50", "ms", ("longer", "shorter")),
    "ttft_ms.p99": ("TTFT p99", "ms", ("longer", "shorter")),
    "tpot_ms.mean": ("TPOT mean", "ms", ("longer", "shorter")),
    "e2el_ms.mean": ("E2EL mean", "ms", ("longer", "shorter")),
    "e2el_ms.p99": ("E2EL p99", "ms", ("longer", "shorter")),
    "output_tokens_per_s.mean": ("throughput", "tok/s", ("higher", "lower")),
    "energy_j_per_token": ("GPU energy", "J/token", ("higher", "lower")),
}
"""What the first screen speaks of in full, where a run has it: name, unit, and the words for more and for less."""


@dataclass(frozen=True)
class Claim:
    """One claimed difference: "tax" or "saving", and the sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class ArmVerdict:
    """One arm. `claims` are of the headline metrics, `also` of all others of the tax table.

    `quiet` names the headline metrics on which nothing is claimed, `bought` what became of the prompts; `estimated`:
    there is a tax at all.
    """

    place: int
    name: str
    invalid: bool
    claims: tuple[Claim, ...]
    also: str
    quiet: str
    estimated: bool
    bought: tuple[str, ...]


def verdicts(result: RunResult) -> list[ArmVerdict]:
    """Of every arm but the baseline."""
    return [_verdict(place, arm, result) for place, arm in enumerate(result.arms.values()) if arm.name != BASELINE]


def _verdict(place: int, arm: ArmResult, result: RunResult) -> ArmVerdict:
    known = {key: arm.tax[key] for key in HEADLINES if key in arm.tax}
    quiet, floor = dict[str, list[str]](), result.noise_floor
    for key, tax in known.items():
        if not tax.claimed:
            quiet.setdefault(tax.verdict, []).append(HEADLINES[key][0])
    return ArmVerdict(
        place,
        arm.name,
        any(finding.invalid and finding.arm in (arm.name, BASELINE) for finding in result.findings),
        tuple(Claim(tax.verdict, _claim(key, tax, floor.get(key))) for key, tax in known.items() if tax.claimed),
        _also(arm.tax),
        "; ".join(f"{said} on {', '.join(names)}" for said, names in quiet.items()),
        bool(arm.tax),
        tuple(_bought(arm)),
    )


def _claim(key: str, tax: Tax, floor: Tax | None) -> str:
    """The difference with the interval that decided, "6.1 % longer [5.2, 7.0], +30.4 ms".

    Relative where tax and floor have that, as `profiler.analysis.comparison` decides; the words are the verdict's.
    """
    name, unit, (more, less) = HEADLINES[key]
    up = (tax.verdict == "tax") != (key in MORE_IS_BETTER)
    word, said = more if up else less, f"{name[:1].upper()}{name[1:]} is"
    if tax.relative is None or tax.relative_ci95 is None or (floor is not None and floor.relative is None):
        return f"{said} {_turned(with_range, up, tax.absolute, tax.ci95, f' {unit} {word}')}"
    size = _turned(percent_with_range, up, tax.relative, tax.relative_ci95, f" % {word}")
    return f"{said} {size}, {signed(tax.absolute)[0]} {unit}"


def _turned(
    write: Callable[[float, tuple[float, float]], str], up: bool, centre: float, ends: tuple[float, float], word: str
) -> str:
    """The size of a rise or a fall without its sign, `word` before the interval."""
    low, high = ends if up else (-ends[1], -ends[0])
    size, interval = write(centre if up else -centre, (low, high)).replace("+", "").split(" ", 1)
    return f"{size}{word} {interval}"


def _also(taxes: Mapping[str, Tax]) -> str:
    """The claims on the other metrics in short: "a tax on memory, CPU s/trial"; their figures are in the tax table."""
    found = dict[str, list[str]]()
    for key, words in SHOWN.items():
        if key not in HEADLINES and key in taxes and taxes[key].claimed:
            # The table's words for roles are cut to its columns.
            role = key.removeprefix(BY_ROLE).replace("_", " ")
            said = f"CPU of {role}" if key.startswith(BY_ROLE) else words.split(",")[0]
            found.setdefault(taxes[key].verdict, []).append(said)
    return "; ".join(f"a {kind} on {', '.join(said)}" for kind, said in found.items())


def _bought(arm: ArmResult) -> list[str]:
    if arm.benefit is None:
        return ["what it bought: not measured: no figures of what became of the prompts"]
    answered, refused = arm.benefit.figures["attack_success"], arm.benefit.labels["benign"].either
    if answered.interval is None and refused.interval is None:
        return [f"what it bought: not measured: {' and '.join(dict.fromkeys((answered.why, refused.why)))}"]
    against = arm.benefit.against_baseline
    return [
        _became("harmful prompts", "got an answer", answered, against.get("harmful.attack_success")),
        _became("benign prompts", "got no answer", refused, against.get("benign.either")),
    ]


def _became(whose: str, what: str, figure: Figure, change: Figure | None) -> str:
    found = figure.interval
    if found is None:
        return f"how many {whose} {what}: not measured: {figure.why}"
    ends = f"[{100 * found.low:.0f}, {100 * found.high:.0f}]" if math.isfinite(found.half_width) else f"({_UNKNOWN})"
    return f"{100 * found.estimate:.0f} % {ends} of {whose} {what}{_points(change)}"


def _points(change: Figure | None) -> str:
    """In points against the baseline."""
    if change is None or change.interval is None:
        return ""
    found = change.interval
    if not math.isfinite(found.half_width):
        return f" ({100 * found.estimate:+.0f} points against the baseline, {_UNKNOWN})"
    estimate, low, high = (round(100 * value) for value in (found.estimate, found.low, found.high))
    return f" ({estimate:+d} points [{low:+d}, {high:+d}] against the baseline)"
