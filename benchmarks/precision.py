"""How precisely is a known tax found? This profiler and two runs of `vllm bench serve`, side by side.

The same machine time for both, again and again: MINUTES (4) for one estimate, REPEATS (10). A repeat is one
interleaved run in process (baseline twice, a delay of 20 ms, a burner that takes a core 10 % of the time) and
three runs of `vllm bench serve` of half the time each (delay, plain, burner: two estimates of two runs each),
the two methods one after the other, so that both see the same machine weather. The delay's truth is known;
the burner's is not, so that its error is the spread over the repeats. Trials are stored under
results/precision-*. A Ctrl-C prints what there is, and RESUME=results/precision-... goes on from there. The last
line is one JSON object.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.interleaved import Interleaved
from benchmarks.precision_resume import repeat_folder, resumed
from benchmarks.precision_table import DELAY_MS, HEADER, Repeat, estimates, figures, row, table
from benchmarks.two_runs import OUTPUT_TOKENS, USERS, NaiveRepeat, TwoRuns, VllmServer, scratch
from guards.burner import CpuBurner
from guards.controls import Delay, WhileServing
from guards.generation import EngineDied, Generator
from guards.guard import Guard
from guards.stack import stack
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.tap import Tap
from profiler.engines.vllm_args import check_engine_settings, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.errors import UserError
from profiler.machine import cpu_has_bf16
from profiler.prompts import read_prompt_sets
from profiler.scenario import BASELINE, ClosedLoad, OutputConfig, load_scenario

BURNER_SHARE = 0.1
_SETTLE_S = 3.0
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Bench:
    """Both methods, and where trials are kept."""

    minutes: float
    ours: Interleaved
    naive: TwoRuns
    folder: Path

    async def run(self, repeats: int, done: list[Repeat]) -> None:
        """Repeat after repeat, each printed and added to `done` when it is over."""
        print(HEADER)
        for number, repeat in enumerate(done):
            print(row(number, repeat), flush=True)
        for number in range(len(done), repeats):
            done.append(await self._repeat(number))
            print(row(number, done[-1]), flush=True)

    async def _repeat(self, number: int) -> Repeat:
        # Both the order of the methods and that of the three runs turn round from repeat to repeat.
        backwards = number % 2 == 1
        naive = await self._naive(number, backwards) if backwards else None
        ours = await self.ours.run(self.minutes * 60, 1 + number, repeat_folder(self.folder, number))
        naive = naive or await self._naive(number, backwards)
        with (self.folder / "two-runs.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(naive.as_json() + "\n")
        return Repeat(await asyncio.to_thread(estimates, ours), naive)

    async def _naive(self, number: int, backwards: bool) -> NaiveRepeat:
        return await self.naive.repeat(self.minutes * 30, number, backwards=backwards)


@asynccontextmanager
async def open_bench(minutes: float, folder: Path) -> AsyncIterator[Bench]:
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
    # Imports vLLM here and not in the engine's thread, which would keep the engine from being freed in the end.
    check_engine_settings(settings, "bench-precision")
    async with AsyncExitStack() as resources:
        logs = Path(resources.enter_context(scratch()))
        burner = CpuBurner(BURNER_SHARE)
        resources.callback(burner.close)
        server = await VllmServer.start(model, settings, logs)
        resources.push_async_callback(server.close)
        engine = await VllmEngine.start(str(model), settings)
        resources.push_async_callback(engine.close)
        ours = Interleaved(scenario, read_prompt_sets(scenario), engine, _stacks(engine, burner))
        naive = TwoRuns(server, burner, DELAY_MS, input_tokens=await ours.warm_up())
        await naive.pilot()
        await asyncio.sleep(_SETTLE_S)
        idle_percent = await _idle_percent((*engine.pids, server.pid))
        print(f"both engines idle: {idle_percent:.0f} % of a core in all", flush=True)
        yield Bench(minutes, ours, naive, folder)


def _stacks(engine: VllmEngine, burner: CpuBurner) -> dict[str, Generator]:
    tap = Tap(engine)
    guards: dict[str, list[Guard]] = {BASELINE: [], "delay": [Delay(DELAY_MS)], "burner": [WhileServing(burner)]}
    return {arm: stack(tap, members) for arm, members in guards.items()}


async def _idle_percent(pids: Sequence[int], seconds: float = 5.0) -> float:
    found = {p.pid: p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))}
    for process in found.values():
        process.cpu_percent()
    await asyncio.sleep(seconds)
    return sum(process.cpu_percent() for process in found.values())


def _setting(name: str, default: float) -> float:
    text = os.environ.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise UserError(f"{name}={text}: needs a positive number, such as {name}={default:g}")
    return value


async def _measure(minutes: float, repeats: int, folder: Path, done: list[Repeat]) -> None:
    async with open_bench(minutes, folder) as bench:
        await bench.run(repeats, done)


async def _until_stopped(minutes: float, repeats: int, folder: Path, done: list[Repeat]) -> str:
    """Run to the end, or to a Ctrl-C or the engine's end; why it stopped early, empty where it did not."""
    running = asyncio.ensure_future(_measure(minutes, repeats, folder, done))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return "interrupted"
    except (UserError, EngineDied) as error:
        return str(error)
    return ""


def main() -> None:
    """Measure, print a row for each repeat, both methods side by side, then the figures as JSON."""
    folder = Path(os.environ.get("RESUME") or _ROOT / "results" / f"precision-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    try:
        minutes, repeats = _setting("MINUTES", 4), int(_setting("REPEATS", 10))
        done = resumed(folder) if os.environ.get("RESUME") else []
    except UserError as error:
        print(f"bench-precision: {error}", file=sys.stderr)
        sys.exit(2)
    stopped = asyncio.run(_until_stopped(minutes, repeats, folder, done))
    shown = figures(minutes, done)
    print(table(done, shown))
    if stopped:
        print(f"stopped after {len(done)} of {repeats} repeats: {stopped}")
    print(json.dumps({"bench": "precision", "figures": shown}))


if __name__ == "__main__":
    main()
