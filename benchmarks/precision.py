"""How precisely is a known tax found? This profiler and two runs of `vllm bench serve`, side by side.

The same machine time for both, again and again: MINUTES (4) for one estimate, REPEATS (10). A repeat is one
interleaved run in process (baseline twice, a delay of 20 ms, a burner that takes a core 10 % of the time) and
three runs of `vllm bench serve` of half the time each (delay, plain, burner: two estimates of two runs each),
the two methods one after the other, so that both see the same machine weather. The delay's truth is known;
the burner's is not, so that its error is the spread over the repeats. Trials are stored under
results/precision-*. A Ctrl-C prints what there is. The last line is one JSON object.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import psutil

from benchmarks.designs import AGAIN, DESIGNS, baseline_ms, cells
from benchmarks.two_runs import OUTPUT_TOKENS, USERS, NaiveRepeat, TwoRuns, VllmServer, scratch
from guards.burner import CpuBurner
from guards.controls import Delay, WhileServing
from guards.generation import Generator
from guards.stack import stack
from profiler.analysis.stats.calibration import root_mean_square_error
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.tap import Tap
from profiler.engines.vllm_args import prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.errors import UserError
from profiler.machine import cpu_has_bf16, git_commit, machine, versions
from profiler.plan import PlannedTrial, plan_trials
from profiler.prompts import PromptSets, draw_workload, read_prompt_sets
from profiler.records.record import RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table, create_run, write_trial
from profiler.scenario import BASELINE, ClosedLoad, OutputConfig, Scenario, load_scenario
from profiler.trial import Workload, run_trial

DELAY_MS = 20.0
BURNER_SHARE = 0.1
_ARMS = (BASELINE, "delay", "burner")
_ENOUGH_BLOCKS = 10_000
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Ours:
    """One interleaved run's estimates. `designs_ms`: by design, (delay's TTFT, burner's E2EL, A/A of E2EL)."""

    direct_ms: float
    induced_percent: float
    blocks: int
    e2el_ms: float
    designs_ms: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Repeat:
    """Both methods' estimates of one repeat."""

    ours: Ours
    naive: NaiveRepeat


@dataclass(frozen=True)
class InProcess:
    """The profiler's side: engine, arms, workload."""

    scenario: Scenario
    sets: PromptSets
    engine: VllmEngine
    stacks: dict[str, Generator]

    async def warm_up(self) -> int:
        """Every arm once, unrecorded; mean prompt length in tokens."""
        prompts = self.sets.warmup[: self.scenario.warmup_requests]
        seen: list[RequestRecord] = []
        for arm, generator in self.stacks.items():
            await run_trial(generator, Workload(self.scenario, prompts, 0), f"warm-{arm}", watch=seen.append)
        return round(float(np.mean([call.prompt_tokens for record in seen for call in record.engine_calls])))

    async def run(self, seconds: float, seed: int, folder: Path) -> list[StoredTrial]:
        """Whole blocks of randomised trials until the time is over; stored as they come."""
        scenario = self.scenario.model_copy(update={"seed": seed})
        run = create_run(folder.parent, folder.name, self._manifest(scenario))
        deadline = time.monotonic() + seconds
        trials: list[StoredTrial] = []
        for block in _blocks(seed):
            for planned in block:
                trials.append(await self._trial(planned, scenario, run))
            if time.monotonic() >= deadline:
                break
        return trials

    async def _trial(self, planned: PlannedTrial, scenario: Scenario, run: Path) -> StoredTrial:
        work = Workload(scenario, draw_workload(scenario, self.sets, planned.block), planned.block)
        await self.engine.reset_prefix_cache()
        tag = f"s{scenario.seed}-t{planned.index}"
        found = await run_trial(self.stacks[planned.arm], work, tag, watch=_ignore)
        tokens = sum(call.output_tokens for record in found.records for call in record.engine_calls)
        place = (planned.index, planned.block, planned.arm, planned.replicate)
        info = TrialInfo(*place, found.started_ns, found.ended_ns, engine_tokens=tokens)
        await asyncio.to_thread(write_trial, run, info, found.records)
        return StoredTrial(info, as_table(info, found.records))

    def _manifest(self, scenario: Scenario) -> dict[str, object]:
        return {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": {**self.engine.facts, "scenario": "precision"},
            "scenario": scenario.model_dump(mode="json"),
            "arms": list(self.stacks),
            "machine": machine(),
            "versions": versions(),
            "git_commit": git_commit(),
        }


def _blocks(seed: int) -> Iterator[list[PlannedTrial]]:
    for _, block in groupby(plan_trials(_ARMS, _ENOUGH_BLOCKS, seed), key=lambda planned: planned.block):
        yield list(block)


def estimates(trials: Sequence[StoredTrial]) -> Ours:
    """The ledger's direct and induced cost, and what other designs make of the same trials."""
    ttft, e2el = cells(trials, "ttft_ms"), cells(trials, "e2el_ms")
    designs = {n: (find(ttft, "delay"), find(e2el, "burner"), find(e2el, AGAIN)) for n, find in DESIGNS.items()}
    direct_ms, induced_percent = _from_ledger(trials)
    return Ours(direct_ms, induced_percent, len({t.info.block for t in trials}), baseline_ms(e2el), designs)


def _from_ledger(trials: Sequence[StoredTrial]) -> tuple[float, float]:
    ttft, e2el = cells(trials, "ttft_ms"), cells(trials, "e2el_ms")
    find = DESIGNS["difference of means"]
    return find(ttft, "delay"), 100 * find(e2el, "burner") / baseline_ms(e2el)


def _ignore(record: RequestRecord) -> None:
    """The trial's outcome holds its records."""


@dataclass
class Bench:
    """Both methods, and what they have found so far."""

    minutes: float
    ours: InProcess
    naive: TwoRuns
    folder: Path
    done: list[Repeat] = field(default_factory=list)

    async def run(self, repeats: int) -> None:
        """Repeat after repeat, each printed when it is over."""
        print(_HEADER)
        for number in range(len(self.done), repeats):
            repeat = await self._repeat(number)
            self.done.append(repeat)
            print(_row(number, repeat), flush=True)

    async def _repeat(self, number: int) -> Repeat:
        # Both the order of the methods and that of the three runs turn round from repeat to repeat.
        backwards = number % 2 == 1
        naive = await self._naive(number, backwards) if backwards else None
        ours = await self.ours.run(self.minutes * 60, 1 + number, self.folder / f"repeat-{number:02d}")
        naive = naive or await self._naive(number, backwards)
        with (self.folder / "two-runs.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(naive.as_json() + "\n")
        return Repeat(await asyncio.to_thread(estimates, ours), naive)

    async def _naive(self, number: int, backwards: bool) -> NaiveRepeat:
        return await self.naive.repeat(self.minutes * 30, number, backwards=backwards)


@asynccontextmanager
async def open_bench(minutes: float) -> AsyncIterator[Bench]:
    """Both engines up: they are quiet when idle, which is measured and printed."""
    prepare_environment()
    scenario = load_scenario(_ROOT / "scenarios" / "quickstart.yaml").model_copy(
        update={
            "load": ClosedLoad(kind="closed", users=USERS),
            "output": OutputConfig(length="fixed", max_tokens=OUTPUT_TOKENS),
            "requests_per_trial": 2 * USERS,
        }
    )
    model = embedded_model_dir()
    settings = {**scenario.engine, **({} if cpu_has_bf16() else {"dtype": "float32"})}
    folder = _ROOT / "results" / f"precision-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    async with AsyncExitStack() as resources:
        logs = Path(resources.enter_context(scratch()))
        burner = CpuBurner(BURNER_SHARE)
        resources.callback(burner.close)
        server = await VllmServer.start(model, settings, logs)
        resources.push_async_callback(server.close)
        engine = await VllmEngine.start(str(model), settings)
        resources.push_async_callback(engine.close)
        ours = InProcess(scenario, read_prompt_sets(scenario), engine, _stacks(engine, burner))
        naive = TwoRuns(server, burner, DELAY_MS, input_tokens=await ours.warm_up())
        await naive.pilot()
        print(
            f"both engines idle: {await _idle_percent((*engine.pids, server.pid)):.0f} % of a core in all", flush=True
        )
        yield Bench(minutes, ours, naive, folder)


def _stacks(engine: VllmEngine, burner: CpuBurner) -> dict[str, Generator]:
    tap = Tap(engine)
    guards = {BASELINE: [], "delay": [Delay(DELAY_MS)], "burner": [WhileServing(burner)]}
    return {arm: stack(tap, members) for arm, members in guards.items()}


async def _idle_percent(pids: Sequence[int], seconds: float = 5.0) -> float:
    found = {p.pid: p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))}
    for process in found.values():
        process.cpu_percent()
    await asyncio.sleep(seconds)
    return sum(process.cpu_percent() for process in found.values())


_HEADER = (
    f"{'':>6} {'20 ms delay, TTFT: ms found':>36}   {'burner 10 %, E2EL: % found':>36}\n"
    f"{'repeat':>6} {'profiler':>18} {'two bench runs':>17}   {'profiler':>18} {'two bench runs':>17}   blocks"
)


def _row(number: int, repeat: Repeat) -> str:
    ours, naive = repeat.ours, repeat.naive
    delay = f"{ours.direct_ms:>18.3f} {naive.direct_ms:>17.3f}"
    burner = f"{ours.induced_percent:>18.2f} {naive.induced_percent:>17.2f}"
    return f"{number + 1:>6} {delay}   {burner}   {ours.blocks:>6}"


def figures(minutes: float, done: Sequence[Repeat]) -> dict[str, float | int | None]:
    """What the last line tells; None where there are too few repeats."""
    direct, naive_direct = [r.ours.direct_ms for r in done], [r.naive.direct_ms for r in done]
    induced, naive_induced = [r.ours.induced_percent for r in done], [r.naive.induced_percent for r in done]
    rmse, naive_rmse = _rmse(direct), _rmse(naive_direct)
    sd, naive_sd = _sd(induced), _sd(naive_induced)
    found = {
        "direct_rmse_ms": rmse,
        "naive_rmse_ms": naive_rmse,
        "direct_rmse_ratio": _ratio(naive_rmse, rmse),
        "induced_mean_percent": _mean(induced),
        "naive_induced_mean_percent": _mean(naive_induced),
        "induced_sd_percent": sd,
        "naive_induced_sd_percent": naive_sd,
        "induced_rmse_ratio_vs_two_bench_runs": _ratio(naive_sd, sd),
    }
    for name in DESIGNS if done else ():
        key = "".join(c if c.isalnum() else "_" for c in name.replace(",", ""))
        delay, burner, again = _design(done, name)
        found |= {f"design_{key}_delay_rmse_ms": delay, f"design_{key}_burner_sd_percent": burner}
        found[f"design_{key}_aa_sd_percent"] = again
    rounded = {key: None if value is None else round(value, 4) for key, value in found.items()}
    return {"minutes": minutes, "repeats": len(done), **rounded}


def _design(done: Sequence[Repeat], name: str) -> tuple[float | None, float | None, float | None]:
    """RMSE of the delay's TTFT (ms), spread of the burner's and of the A/A's E2EL (%)."""
    delay, burner, again = zip(*(r.ours.designs_ms[name] for r in done), strict=True)
    e2el = [r.ours.e2el_ms for r in done]
    percent = [[100 * ms / base for ms, base in zip(column, e2el, strict=True)] for column in (burner, again)]
    return _rmse(delay), _sd(percent[0]), _sd(percent[1])


def _rmse(found: Sequence[float]) -> float | None:
    return root_mean_square_error(found, DELAY_MS) if found else None


def _sd(found: Sequence[float]) -> float | None:
    return float(np.std(found, ddof=1)) if len(found) > 1 else None


def _mean(found: Sequence[float]) -> float | None:
    return float(np.mean(found)) if found else None


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return theirs / ours if theirs is not None and ours else None


def table(done: Sequence[Repeat], shown: dict[str, float | int | None]) -> str:
    """Both methods side by side, then the other designs on the same trials."""
    rows = [
        ("delay 20 ms, TTFT: RMSE, ms", "direct_rmse_ms", "naive_rmse_ms", "direct_rmse_ratio"),
        ("burner 10 %, E2EL: mean, %", "induced_mean_percent", "naive_induced_mean_percent", ""),
        (
            "burner 10 %, E2EL: spread, %",
            "induced_sd_percent",
            "naive_induced_sd_percent",
            "induced_rmse_ratio_vs_two_bench_runs",
        ),
    ]
    lines = [f"\n{'':<32} {'profiler':>12} {'two bench runs':>16} {'times better':>14}"]
    for title, ours, naive, ratio in rows:
        lines.append(f"{title:<32} {_cell(shown[ours]):>12} {_cell(shown[naive]):>16} {_cell(shown.get(ratio)):>14}")
    lines.append(
        f"\n{'other designs, same trials':<32} {'delay RMSE, ms':>16} {'burner spread, %':>18} {'A/A spread, %':>15}"
    )
    for name in DESIGNS if done else ():
        delay, burner, again = _design(done, name)
        lines.append(f"{name:<32} {_cell(delay):>16} {_cell(burner):>18} {_cell(again):>15}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _setting(name: str, default: float) -> float:
    text = os.environ.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise UserError(f"{name}={text}: needs a positive number, such as {name}={default:g}")
    return value


async def _measure(minutes: float, repeats: int, done: list[Repeat]) -> None:
    async with open_bench(minutes) as bench:
        await replace(bench, done=done).run(repeats)


async def _until_stopped(minutes: float, repeats: int, done: list[Repeat]) -> None:
    """Run to the end, or to a Ctrl-C: then the engines are closed in order and what is done counts."""
    running = asyncio.ensure_future(_measure(minutes, repeats, done))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        print("interrupted", flush=True)


def main() -> None:
    """Measure, print a row for each repeat, both methods side by side, then the figures as JSON."""
    done: list[Repeat] = []
    try:
        minutes, repeats = _setting("MINUTES", 4), int(_setting("REPEATS", 10))
        asyncio.run(_until_stopped(minutes, repeats, done))
    except UserError as error:
        sys.exit(f"bench-precision: {error}")
    finally:
        if done:
            shown = figures(minutes, done)
            print(table(done, shown))
            print(json.dumps({"bench": "precision", "figures": shown}))


if __name__ == "__main__":
    main()
