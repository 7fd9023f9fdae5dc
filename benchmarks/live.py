"""What does the live view cost? Open loop on the modelled engine in real time, with and without the view, in turns.

Prints the dispatch lag (sent minus scheduled) of both, what the view's thread takes of a core, and what one request
costs on the event loop. The last line is one JSON object. Bar: under 0.5 % of a core.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.plan import PlannedTrial
from profiler.prompts import PromptSets, read_prompt_sets
from profiler.records.record import RequestRecord
from profiler.report.live.outline import outline_of
from profiler.report.live.state import RunState
from profiler.report.live.view import View
from profiler.scenario import BASELINE, Scenario, load_scenario
from profiler.trial import Workload, run_trial

RATES_HZ = (100, 300)
SECONDS, ROUNDS = 6, 3
_QUICKSTART = Path(__file__).parents[1] / "scenarios" / "quickstart.yaml"
_PARAMETERS = ModelParameters(
    prefill_ns_per_token=2_000, step_base_ns=4_000_000, step_ns_per_sequence=20_000, max_num_seqs=1024
)


def _ignore(record: RequestRecord) -> None:
    pass


async def records_of(scenario: Scenario, sets: PromptSets, rate_hz: int, view: View | None) -> list[RequestRecord]:
    """One trial's requests, with the view drawn to a terminal's other end that nobody reads, or without it."""
    work = Workload.draw(scenario.model_copy(update={"requests_per_trial": rate_hz * SECONDS}), sets, 0)
    if view is not None:
        view.trial_started(PlannedTrial(0, 0, BASELINE, 0))
    watch = _ignore if view is None else view.request_done
    engine = Tap(ModelledEngine(_PARAMETERS, seed=rate_hz))
    return list((await run_trial(engine, work.at_rate(rate_hz), "t", watch=watch)).records)


def _thread_cpu_s(thread: threading.Thread) -> float:
    """What a thread has run so far; Linux counts it in ns."""
    text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text(encoding="utf-8")
    return int(text.split()[0]) / 1e9


@contextmanager
def shown(scenario: Scenario) -> Iterator[tuple[View, threading.Thread]]:
    """A view on a terminal of 80 x 24, and the thread that draws it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(
            file=nowhere, force_terminal=True, width=80, height=24, color_system="256", legacy_windows=False
        )
        before = set(threading.enumerate())
        with View(console, outline_of(scenario, Path("r"), {"gpu": "no GPU", "cpu_energy": "no RAPL counter"})) as view:
            (thread,) = set(threading.enumerate()) - before
            yield view, thread


def lags_ms(records: list[RequestRecord]) -> npt.NDArray[np.float64]:
    return np.array([record.sent_ns - record.scheduled_ns for record in records]) / 1e6


def loop_us_per_request(scenario: Scenario, records: list[RequestRecord]) -> float:
    """What the event loop pays for each finished request."""
    state = RunState(outline_of(scenario, Path("r"), {}))
    state.trial_started(PlannedTrial(0, 0, BASELINE, 0), records[0].sent_ns)
    began_ns = time.perf_counter_ns()
    for record in records:
        state.request_done(record)
    return (time.perf_counter_ns() - began_ns) / 1e3 / len(records)


def main() -> None:
    """Measure each rate in turns, print a table, then the figures as JSON."""
    scenario = load_scenario(_QUICKSTART)
    sets, figures = read_prompt_sets(scenario), dict[str, float]()
    print(f"{'requests/s':>10} {'view':>5} {'lag p50 ms':>11} {'p99 ms':>8} {'max ms':>8} {'% of a core':>12}")
    for rate_hz in RATES_HZ:
        lags: dict[bool, list[npt.NDArray[np.float64]]] = {False: [], True: []}
        cpu_s = wall_s = 0.0
        records: list[RequestRecord] = []
        for _ in range(ROUNDS):
            lags[False].append(lags_ms(asyncio.run(records_of(scenario, sets, rate_hz, None))))
            with shown(scenario) as (view, thread):
                began_s, cpu_before_s = time.monotonic(), _thread_cpu_s(thread)
                records = asyncio.run(records_of(scenario, sets, rate_hz, view))
                cpu_s += _thread_cpu_s(thread) - cpu_before_s
                wall_s += time.monotonic() - began_s
            lags[True].append(lags_ms(records))
        for on, name in ((False, "off"), (True, "on")):
            found = np.concatenate(lags[on])
            p50, p99 = np.percentile(found, [50, 99])
            share = f"{100 * cpu_s / wall_s:.3f}" if on else ""
            print(f"{rate_hz:>10} {name:>5} {p50:>11.3f} {p99:>8.3f} {found.max():>8.3f} {share:>12}")
            figures[f"lag_p99_ms_{rate_hz}_{name}"] = round(float(p99), 4)
            figures[f"lag_max_ms_{rate_hz}_{name}"] = round(float(found.max()), 4)
        figures[f"view_percent_of_core_{rate_hz}"] = round(100 * cpu_s / wall_s, 4)
        figures[f"loop_us_per_request_{rate_hz}"] = round(loop_us_per_request(scenario, records), 3)
    print(f"on the event loop: {figures[f'loop_us_per_request_{RATES_HZ[-1]}']:.1f} us a request")
    print(json.dumps({"bench": "live", "figures": figures}))


if __name__ == "__main__":
    main()
