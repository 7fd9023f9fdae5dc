"""`alignment-tax profile`."""

import argparse
import asyncio
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from profiler.analysis.tax import RunResult, analyse
from profiler.commands.parser import Commands
from profiler.commands.pipe import reader_may_leave
from profiler.commands.talk import add_talk_flags, talk_of, tell_end
from profiler.errors import UserError
from profiler.percent import share_flag
from profiler.profile import Finished, Options, profile
from profiler.records.store import StoredRun, read_run
from profiler.report.html.page import page_of
from profiler.report.html.write import put_page
from profiler.report.more import print_more
from profiler.report.sweep import print_sweep
from profiler.report.terminal import print_place, print_problems, print_result
from profiler.report.text import plain
from profiler.resume import Resume, resume
from profiler.scenario import Scenario, UntilConfig, load_scenario
from profiler.sweep.result import sweep_result

QUICKSTART = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"
OUT = Path("results")
_NEW_RUNS_OWN = ("guards", "blocks", "until", "max_minutes")


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("profile", help="measure what guards cost around a vLLM model")
    add_run_flags(parser)
    parser.add_argument("--blocks", type=int, help="number of blocks (default: the scenario's)")
    parser.add_argument(
        "--until", metavar="METRIC=SHARE", help="add blocks until each arm's tax is known so well, as e2el_p50=2%%"
    )
    parser.add_argument("--max-minutes", type=float, help="with --until: end then all the same (default: 30)")
    parser.add_argument(
        "--stacks", action="store_true", help="then one more trial an arm under py-spy: where host time goes"
    )
    parser.add_argument(
        "--trace", action="store_true", help="then some requests an arm under torch's profiler: where device time goes"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped or killed")
    parser.add_argument("--force", action="store_true", help="with --resume: even if machine or software have changed")
    add_talk_flags(parser)
    parser.set_defaults(run=_run)


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that every command with a scenario has."""
    parser.add_argument("--model", help="hub id or folder (default: the scenario's)")
    parser.add_argument("--scenario", type=Path, default=QUICKSTART, help="default: scenarios/quickstart.yaml")
    parser.add_argument("--guards", help="comma-separated guards of the scenario: each alone, then all together")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the run (default: results)")


def scenario_from(options: argparse.Namespace) -> Scenario:
    """The scenario that the flags of `add_run_flags` name.

    Raises:
        UserError: the file, a key, or a guard that the scenario does not define.
    """
    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = scenario.model_copy(update={"model": options.model})
    if options.guards:
        scenario = scenario.only([name.strip() for name in options.guards.split(",") if name.strip()])
    return scenario


def _with_until(scenario: Scenario, until: str | None, max_minutes: float | None) -> Scenario:
    """The scenario with the stopping rule of the flags, if they give one.

    Raises:
        UserError: no such metric, no share, or minutes without a rule.
    """
    if until is None and max_minutes is None:
        return scenario
    given = {} if scenario.until is None else scenario.until.model_dump()
    if until is not None:
        metric, _, share = until.partition("=")
        given |= {"metric": metric.strip(), "half_width": share_flag("--until", share)}
    elif not given:
        raise UserError("--max-minutes: needs --until METRIC=SHARE, such as --until e2el_p50=2%")
    if max_minutes is not None:
        given["max_minutes"] = max_minutes
    try:
        return scenario.model_copy(update={"until": UntilConfig.model_validate(given)})
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--until: {first['loc'][0]}: {first['msg']}") from None


def _run(options: argparse.Namespace) -> int:
    talk = talk_of(options)
    if options.resume is not None:
        return _shown(asyncio.run(resume(_resume_from(options), talk)), talk)
    if options.force:
        raise UserError("--force: needs --resume RUN")
    scenario = scenario_from(options)
    if options.blocks is not None:
        if options.blocks < 1:
            raise UserError("--blocks: must be at least 1")
        if options.until is not None or scenario.until is not None:
            raise UserError("--blocks: does nothing beside `until`: give max_blocks or min_blocks there")
        scenario = scenario.model_copy(update={"blocks": options.blocks})
    scenario = _with_until(scenario, options.until, options.max_minutes)
    asked = Options(scenario, str(options.scenario), options.out, stacks=options.stacks, trace=options.trace)
    return _shown(asyncio.run(profile(asked, talk)), talk)


def _resume_from(options: argparse.Namespace) -> Resume:
    """What the flags beside --resume ask for.

    Raises:
        UserError: one that only a new run can have.
    """
    own = {"--scenario": options.scenario != QUICKSTART, "--out": options.out != OUT}
    own |= {f"--{name.replace('_', '-')}": getattr(options, name) is not None for name in _NEW_RUNS_OWN}
    if given := [flag for flag, is_given in own.items() if is_given]:
        raise UserError(f"{given[0]}: a run that is gone on with has its own: leave it out beside --resume")
    return Resume(options.resume, options.model, options.force, options.stacks, options.trace)


def _shown(finished: Finished, talk: Console) -> int:
    run = read_run(finished.run)
    result = analyse(run) if run.sources else None
    with reader_may_leave():
        _print(finished, run, result)
    tell_end(talk, run, result)
    return 1 if finished.stopped else 0


def _print(finished: Finished, run: StoredRun, result: RunResult | None) -> None:
    console = Console()
    if finished.stopped:
        console.print(f"[yellow]stopped early:[/] {plain(finished.stopped)}")
    if result is None:
        console.print(f"no trial was finished; nothing to report in {plain(finished.run)}", soft_wrap=True)
    elif run.manifest.get("points"):
        print_sweep(sweep_result(result, "e2el_mean"), console)
        print_problems(result, console)
    else:
        print_result(result, console)
        print_more(result, None, console)
        put_page(page_of(result, None), result.run.path, None, console)
        print_place(result, console)
