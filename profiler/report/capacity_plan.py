"""A capacity plan in a terminal of 80 columns, or as Markdown."""

import math
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.curve_check import TOLERANCE
from profiler.analysis.displacement import ALL_GUARDS, KvDisplacement
from profiler.analysis.fleet import HOURS_A_MONTH, SPARE_REPLICAS, scaled
from profiler.analysis.stats import Interval
from profiler.analysis.traffic import FEW_ARRIVALS
from profiler.capacity_plan.again import sweep_command
from profiler.capacity_plan.arm import Fleet, More
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.capacity import PercentileCapacity
from profiler.capacity_plan.mix import ASSUMED
from profiler.capacity_plan.replica import judged_elsewhere, unit_word
from profiler.capacity_plan.result import ArmPlan, PlanResult
from profiler.meters.not_measured import NotMeasured
from profiler.report.capacity_check import check_tables
from profiler.report.numbers import whole_range
from profiler.report.recorded import recorded_note
from profiler.report.text import plain
from profiler.scenario import BASELINE

_RULE = (
    "Capacity is read between the highest rate that held the SLO and the lowest that missed it, both measured, never "
    f"outside. The curve is a check: where it is off by more than {TOLERANCE:.0%} and outside the measured interval "
    "(or that has no end) at either of these two, could not be checked at both, or a probe at one was stopped, nothing "
    "is read between: the highest rate that held counts."
)
_SPLIT = (
    "Requests are split evenly over the replicas and arrive at each at random, as they did in the sweep. "
    f"N+{SPARE_REPLICAS}: one replica is spare."
)


_EMPTY = (
    "Each probe starts from an empty engine, so capacities read high (by 0.7 to 3 % in the median on simulated "
    "M/D/1 queues, probes of 4,000 to 500 requests): longer probes (`alignment-tax saturate --probe-seconds`) less so."
)


def print_plan(result: PlanResult, console: Console) -> None:
    """Print what was asked, what each arm takes, the difference in a sentence, the check, and what is not known."""
    if note := recorded_note(result.run.manifest):
        console.print(f"[bold yellow]{note}[/]", highlight=False)
    facts = result.run.manifest["facts"]
    console.print(
        f"[bold]Capacity plan[/] for {plain(facts['model'])} on {plain(facts['device_name'])}, "
        f"vLLM {plain(facts['vllm_version'])}",
        highlight=False,
    )
    console.print(plain(_asked(result.asked)), highlight=False)
    console.print(_fleet_table(result))
    for name, arm in result.arms.items():
        if arm.more is not None:
            console.print(f"[bold]{plain(name)}[/]: {plain(more_words(result, name, arm.more))}", highlight=False)
    for part in _cost_tables(result):
        console.print(part, highlight=False)
    for line in (*_traffic_lines(result), *_capacity_lines(result), *_notes(result)):
        console.print(plain(line), highlight=False)
    for line, table in check_tables(result):
        console.print(plain(line), highlight=False)
        console.print(table)
    console.print(_RULE, highlight=False)
    for warning in result.warnings:
        console.print(f"[yellow]warning:[/] {plain(warning)}", highlight=False)
    for run in (result.run, *result.others):
        console.print(f"Run: {plain(run.path)}", highlight=False, soft_wrap=True)


def more_words(result: PlanResult, arm: str, more: More) -> str:
    """The difference to the baseline as a sentence: "costs you 3 more GPUs (2–4) than none"."""
    if more.interval is None and not more.bound:
        return f"difference to {BASELINE} not measured: {more.why}"
    said = _bounded(result, more) if more.interval is None else _more(result, more.interval)
    month = "" if more.interval is None else _a_month(result.asked, more.interval)
    return f"{said}{month}{_memory_left_out(result, arm)}"


def _bounded(result: PlanResult, more: More) -> str:
    word = unit_word(result.run.manifest, abs(more.gpus))
    if more.gpus > 0:
        return f"costs you {more.bound} {more.gpus} more {word} than {BASELINE}"
    if more.gpus < 0:
        return f"saves you at least {-more.gpus} {word} against {BASELINE}"
    return f"costs you as many {word} as {BASELINE}, or {'more' if more.bound == 'at least' else 'fewer'}"


def _memory_left_out(result: PlanResult, arm: str) -> str:
    """One engine served all arms, so what the guards displace was missing in the baseline's probes too."""
    if isinstance(result.memory, NotMeasured):
        return ""
    found = result.memory.arms
    one = found.get(arm) or found.get(ALL_GUARDS)
    if one is None or not one.blocks:
        return ""
    return (
        f"; the {one.share:.1%} of the KV pool that resident guards displace was missing in {BASELINE}'s probes too: "
        "the difference leaves it out, and is a lower bound in that respect"
    )


def _more(result: PlanResult, found: Interval) -> str:
    count = abs(found.estimate)
    word = unit_word(result.run.manifest, count)
    if found.estimate == 0:
        return f"costs you no more {unit_word(result.run.manifest, 2)} than {BASELINE} ({whole_range(found)})"
    if found.estimate > 0:
        return f"costs you {count:.0f} more {word} ({whole_range(found)}) than {BASELINE}"
    return f"saves you {count:.0f} {word} ({whole_range(_negated(found))}) against {BASELINE}"


def _a_month(asked: Asked, found: Interval) -> str:
    """What these cost, where there is a price."""
    if asked.gpu_hour_price is None or found.estimate == 0:
        return ""
    size = found if found.estimate > 0 else _negated(found)
    cost = scaled(size, asked.gpu_hour_price * HOURS_A_MONTH)
    return f": {cost.estimate:.0f} a month ({whole_range(cost)}) of hardware, without energy"


def _negated(one: Interval) -> Interval:
    return Interval(-one.estimate, -one.high, -one.low, one.confidence)


def _asked(asked: Asked) -> str:
    limits = ", ".join(f"{one.words} at most {one.limit_ms:g} ms" for one in asked.objectives)
    rate = f"{asked.mean_hz:.4g} requests/s"
    if asked.traffic is not None:
        rate = f"{asked.serve_hz:.4g} requests/s, the busiest minute of {asked.traffic_file} (mean {asked.mean_hz:.4g})"
    mix = "" if asked.harmful is None else f"; {100 * asked.harmful:.3g} % of requests harmful"
    return f"For {rate}; {limits}; headroom {100 * asked.headroom:.3g} %{mix}."


def _fleet_table(result: PlanResult) -> Table:
    unit = unit_word(result.run.manifest, 2)
    table = _table()
    for name in ("requests/s a replica", "replicas", unit, f"{unit[:-1]}-hours a day"):
        table.add_column(name, justify="right", overflow="fold")
    for name, arm in result.arms.items():
        table.add_row(plain(name), *map(plain, _fleet_cells(arm)))
    return table


def _fleet_cells(arm: ArmPlan) -> tuple[str, ...]:
    found, fleet = arm.capacity, arm.fleet
    if fleet is None or found.state == "not measured":
        return ("n/m", "-", "-", "-")
    most = found.state == "at least"
    if most or found.interval is None:
        each = (fleet.replicas, fleet.gpus, fleet.gpu_hours_a_day)
        return (f"at least {found.hz:.3g}", *(f"at most {_most(one)}" for one in each))
    rate = f"{found.hz:.3g} [{_end(found.interval.low)}, {_end(found.interval.high)}]"
    return (
        rate,
        *(f"{one.estimate:.0f} ({whole_range(one)})" for one in (fleet.replicas, fleet.gpus, fleet.gpu_hours_a_day)),
    )


def _most(one: Interval) -> str:
    return f"{one.high:.0f}" if math.isfinite(one.high) else f"{one.estimate:.0f}?"


def _end(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "?"


def _cost_tables(result: PlanResult) -> Iterator[Table | str]:
    """Money, and energy, by million output tokens and million requests; none of what has neither price nor meter."""
    fleets = {name: arm.fleet for name, arm in result.arms.items() if arm.fleet is not None}
    bounds = [result.arms[name].capacity.state == "at least" for name in fleets]
    money = [(one.cost_per_mtokens, one.cost_per_mrequests) for one in fleets.values()]
    energy = [(one.energy.kwh_per_mtokens, one.energy.kwh_per_mrequests) for one in fleets.values()]
    for what, cells, title in (("cost", money, _paid(result.asked)), ("kWh", energy, "")):
        if any(one is not None for pair in cells for one in pair):
            if title:
                yield title
            table = _table()
            for of in ("output tokens", "requests"):
                table.add_column(f"{what} a million {of}", justify="right", overflow="fold")
            for name, pair, most in zip(fleets, cells, bounds, strict=True):
                table.add_row(plain(name), *(plain(_money(one, most)) for one in pair))
            yield table


def _paid(asked: Asked) -> str:
    """What the prices are of."""
    if asked.gpu_hour_price is None:
        return "Cost of energy alone: hardware is not in it (--gpu-cost)."
    return "Cost of hardware alone." if asked.kwh_price is None else "Cost of hardware, and of energy where measured."


def _money(one: Interval | None, most: bool) -> str:
    if one is None:
        return "n/m"
    if most and not math.isfinite(one.low):
        return f"at most {_three(one.high)}"
    return f"{_three(one.estimate)} [{_three(one.low)}, {_three(one.high)}]"


def _three(value: float) -> str:
    """Three digits, or all of a larger whole number."""
    return "?" if not math.isfinite(value) else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _capacity_lines(result: PlanResult) -> Iterator[str]:
    """Of each arm what ends its capacity, between which rates, or why there is none."""
    for name, arm in result.arms.items():
        yield from _capacity_line(name, arm.capacity, result)


def _capacity_line(name: str, found: PercentileCapacity, result: PlanResult) -> Iterator[str]:
    if found.state == "not measured":
        yield f"{name} (n/m): not measured: {found.why}: {_sweep_command(result.asked, found.seconds)}"
        yield from (f"{name}: {note}." for note in found.notes)
        return
    if found.state == "at least":
        yield (
            f"{name}: at least {found.hz:.3g} requests/s: no rate tried missed the SLO. Its replicas are an upper "
            f"bound: {_sweep_command(result.asked)}"
        )
    elif found.bound is not None:
        how = "" if found.interpolated else f"; nothing is read between them ({found.between})"
        yield (
            f"{name}: {found.bound.words} is what ends it, held at {found.held_hz:.3g} and missed at "
            f"{found.missed_hz:.3g} requests/s{how}."
        )
        if found.seconds:
            yield (
                f"{name}: requests come in bursts, and these are too few to show a {found.bound.name.split('_')[1]}: "
                f"for a narrower interval, {_sweep_command(result.asked, found.seconds)}."
            )
    yield from (f"{name}: {note}." for note in found.notes)
    if judged_elsewhere(result.run.manifest, name):
        yield f"{name}: a guard asks an endpoint: its machines are not counted."


def _sweep_command(asked: Asked, seconds: float = 0.0) -> str:
    return sweep_command(asked.objectives, asked.harmful, seconds)


def _traffic_lines(result: PlanResult) -> Iterator[str]:
    traffic = result.asked.traffic
    if traffic is None:
        return
    hours = traffic.seconds / 3600
    unit = unit_word(result.run.manifest, 1)
    scaled = "" if traffic.scale == 1 else f", each counted {traffic.scale:.4g} times"
    yield (
        f"Traffic: {traffic.requests} requests over {hours:.3g} hours{scaled}; the busiest minute has "
        f"{traffic.peak_hz / traffic.mean_hz:.2f} times the mean rate. A minute: long beside the SLO, as long as a "
        "replica takes to start."
    )
    if traffic.peak_arrivals < FEW_ARRIVALS:
        yield f"The busiest minute has only {traffic.peak_arrivals} requests in the trace: much of it is chance."
    for name, arm in result.arms.items():
        if arm.fleet is None or arm.fleet.over_trace is None:
            continue
        found, most = arm.fleet.over_trace, arm.capacity.state == "at least"
        shown = " ".join(map(str, found.replicas_by_hour[:48])) + (" ..." if len(found.replicas_by_hour) > 48 else "")
        scaled_h, peak_h = (_hours(one, most) for one in (found.gpu_hours_scaled, found.gpu_hours_peak))
        yield (
            f"{name}: {scaled_h} {unit}-hours scaled by the hour, {peak_h} always ready for the peak. Replicas by hour"
            f"{' (at most)' if most else ''}: {shown}"
        )


def _hours(one: Interval, most: bool) -> str:
    if most:
        return f"at most {_most(one)}"
    low, high = (f"{end:.0f}" if math.isfinite(end) else "?" for end in (one.low, one.high))
    return f"{one.estimate:.0f} ({low}–{high})"


def _notes(result: PlanResult) -> Iterator[str]:
    yield _SPLIT
    yield _EMPTY
    if result.asked.harmful is not None and any(arm.fleet is not None for arm in result.arms.values()):
        yield f"At {100 * result.asked.harmful:.3g} % harmful: assumed that {ASSUMED}."
    fleets = {name: arm.fleet for name, arm in result.arms.items() if arm.fleet is not None}
    yield from _energy_notes(result.asked, fleets)
    yield from memory_lines(result.memory)


def _energy_notes(asked: Asked, fleets: dict[str, Fleet]) -> Iterator[str]:
    said: dict[str, list[str]] = {}
    for name, fleet in fleets.items():
        energy = fleet.energy
        if energy.kwh_per_mrequests is None:
            paid = "; the cost is without energy" if asked.kwh_price is not None else ""
            text = f"energy (n/m): not measured: {energy.why}{paid}."
        elif energy.where:
            text = f"energy: {energy.of}, of {energy.where}, at that run's own load."
        else:
            text = f"energy: {energy.of}, metered in the sweep; every replica at the same share of the mean rate."
        said.setdefault(text, []).append(name)
    for text, names in said.items():
        yield text[0].upper() + text[1:] if len(names) == len(fleets) else f"{', '.join(names)}: {text}"


def memory_lines(found: KvDisplacement | NotMeasured) -> Iterator[str]:
    """Concurrency that guards' memory takes from the generator."""
    if isinstance(found, NotMeasured):
        yield f"Concurrency lost to memory (n/m): not measured: {found.why}."
        return
    whole = "n/m" if found.requests is None else f"{found.requests:.1f}"
    for name, one in found.arms.items():
        lost = "n/m" if one.requests_lost is None else f"{one.requests_lost:.1f}"
        who = "all guards together" if name == ALL_GUARDS else name
        yield f"Concurrency lost to memory, {who}: {lost} of {whole} requests ({one.share:.1%} of the KV pool)."


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("arm", overflow="fold")
    return table
