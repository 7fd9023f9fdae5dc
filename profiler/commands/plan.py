"""`alignment-tax plan`."""

import argparse
import json
import math
import re
from pathlib import Path

from rich.console import Console

from profiler.analysis.percentiles import Objective, parse_objectives
from profiler.analysis.tax import RunResult
from profiler.analysis.traffic import Traffic, traffic_of
from profiler.capacity_plan.again import sweep_command
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.result import PlanResult, plan
from profiler.commands.parser import Commands
from profiler.commands.stored import finished_run, profiled
from profiler.errors import UserError
from profiler.load.trace_replay import trace_replay
from profiler.percent import share_flag
from profiler.records.store import StoredRun
from profiler.report.capacity_plan import print_plan
from profiler.report.capacity_plan_json import plan_json
from profiler.report.markdown import MarkdownConsole
from profiler.report.text import printable
from profiler.saturation.result import KIND

_PRICE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*(?:/\s*(\w+))?\s*")


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("plan", help="replicas, GPUs and cost of each arm for a rate, from a saturation sweep")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="RUN",
        help="a run of `saturate`; runs of `profile` of the same model add energy and memory",
    )  # fmt: skip
    parser.add_argument(
        "--rate", metavar="N", help="requests/s to serve; with --traffic, the mean that it is scaled to"
    )
    parser.add_argument("--slo", required=True, metavar="LIST", help="ttft_p99=500ms,tpot_p99=50ms")
    parser.add_argument("--traffic", type=Path, metavar="CSV", help="a trace of arrivals: plan for its busiest minute")
    parser.add_argument("--harmful", metavar="SHARE", help="another share of harmful requests than the sweep's: 2%%")
    parser.add_argument("--gpu-cost", metavar="PRICE", help="of a GPU (on a CPU: a machine) an hour: 2.50/h")
    parser.add_argument("--kwh", metavar="PRICE", help="of a kWh: 0.12")
    parser.add_argument("--headroom", metavar="SHARE", default="0%", help="of each replica's capacity, left free: 30%%")
    parser.add_argument("--format", choices=("terminal", "json", "markdown"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    asked = _asked(options)
    sweep, others = _runs(options.paths, asked)
    result = plan(sweep, others, asked)
    if options.format == "json":
        print(json.dumps(plan_json(result), indent=2))
    elif options.format == "markdown":
        print(_markdown(result), end="")
    else:
        print_plan(result, Console())
    return 0


def _markdown(result: PlanResult) -> str:
    page = MarkdownConsole()
    print_plan(result, page)
    return page.page


def _asked(options: argparse.Namespace) -> Asked:
    """What the flags say.

    Raises:
        UserError: a flag that makes no sense.
    """
    headroom = share_flag("--headroom", options.headroom)
    if headroom >= 1:
        raise UserError(f"--headroom: {options.headroom} leaves nothing to serve with: give less than 100%")
    mean_hz = None if options.rate is None else _positive("--rate", options.rate, "200")
    if mean_hz is None and options.traffic is None:
        raise UserError("--rate: how many requests/s? give --rate 200, or --traffic trace.csv")
    traffic = None if options.traffic is None else _traffic(options.traffic, mean_hz)
    return Asked(
        objectives=_objectives(options.slo),
        mean_hz=traffic.mean_hz if traffic is not None else mean_hz or 0.0,
        headroom=headroom,
        harmful=None if options.harmful is None else share_flag("--harmful", options.harmful),
        gpu_hour_price=None if options.gpu_cost is None else _price("--gpu-cost", options.gpu_cost, "h"),
        kwh_price=None if options.kwh is None else _price("--kwh", options.kwh, "kWh"),
        traffic=traffic,
        traffic_file="" if options.traffic is None else str(options.traffic),
    )


def _objectives(text: str) -> tuple[Objective, ...]:
    try:
        return parse_objectives(text)
    except ValueError as error:
        raise UserError(f"--slo: {error}") from None


def _positive(flag: str, text: str, example: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise UserError(f"{flag}: {text} is no number above 0: write {example}")
    return found


def _price(flag: str, text: str, per: str) -> float:
    """A price in any currency: `2.50/h`, or 2.50."""
    example = "2.50/h" if per == "h" else "0.12"
    found = _PRICE.fullmatch(text)
    if found is None or (found[2] or per).lower() != per.lower():
        raise UserError(f"{flag}: {text} is no price: write {example}")
    return _positive(flag, found[1], example)


def _traffic(path: Path, mean_hz: float | None) -> Traffic:
    try:
        return traffic_of([row.offset_ns for row in trace_replay(path)], mean_hz)
    except ValueError as error:
        raise UserError(f"--traffic: {path}: {error}") from None


def _runs(paths: list[Path], asked: Asked) -> tuple[StoredRun, list[RunResult]]:
    """The sweep and the runs beside it.

    Raises:
        UserError: no sweep, two of them, or a run that is neither.
    """
    sweeps = [run for run in map(finished_run, paths) if run.manifest.get("kind") == KIND]
    if len(sweeps) > 1:
        raise UserError(f"{sweeps[1].path} and {sweeps[0].path} are both saturation sweeps: name one")
    if not sweeps:
        raise UserError(_only_one_load(profiled(paths[0]), asked))
    return sweeps[0], [profiled(path) for path in paths if path.resolve() != sweeps[0].path]


def _only_one_load(result: RunResult, asked: Asked) -> str:
    """What a run of `profile` tells of capacity, and the command that tells the rest."""
    load = result.run.manifest.get("scenario", {}).get("load", {}).get("kind", "one")
    did = {
        arm: sum(t.requests for t in result.trials if t.arm == arm) / seconds
        for arm in result.arms
        if (seconds := sum(t.duration_s for t in result.trials if t.arm == arm))
    }
    said = ", ".join(f"{printable(arm)} {rate:.3g}" for arm, rate in did.items())
    return (
        f"{result.run.path}: a run of `profile` has one load ({load}; requests/s: {said}), so no capacity: "
        f"{sweep_command(asked.objectives, asked.harmful)}, and add that sweep"
    )
