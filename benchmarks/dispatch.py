"""How late are requests sent? Open loop, Poisson arrivals, modelled engine, real time, one process.

Prints the dispatch lag (sent minus scheduled) at 100, 300 and 1000 requests/s while the engine streams the
answers in the same event loop. The last line is one JSON object. Bar: p99 at most 1 ms at 1000 requests/s.
"""

import asyncio
import json
import time

import numpy as np
import numpy.typing as npt

from guards.generation import GenerationRequest, Message, Sampling
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.load import open_loop, poisson, quiet_gc

RATES_HZ = (100, 300, 1000)
SECONDS = 6
OUTPUT_TOKENS = 16
PARAMETERS = ModelParameters(
    prefill_ns_per_token=2_000, step_base_ns=4_000_000, step_ns_per_sequence=20_000, max_num_seqs=1024
)


async def dispatch_lags_ns(rate_hz: int, n: int) -> npt.NDArray[np.int64]:
    """Shape (n,): how late each request of one trial was sent."""
    engine = ModelledEngine(PARAMETERS, seed=rate_hz)
    lags = np.zeros(n, dtype=np.int64)
    sampling = Sampling(max_tokens=OUTPUT_TOKENS, ignore_eos=True)

    async def send(index: int, scheduled_ns: int) -> None:
        lags[index] = time.monotonic_ns() - scheduled_ns
        request = GenerationRequest(str(index), (Message("user", "word " * 200),), sampling)
        async for _ in engine.generate(request):
            pass

    with quiet_gc():
        await open_loop(poisson(rate_hz, n, seed=rate_hz), send, now_ns=time.monotonic_ns)
    return lags


def main() -> None:
    """Measure each rate, print a table, then the figures as JSON."""
    figures: dict[str, float] = {}
    print(f"{'requests/s':>10} {'requests':>9} {'lag p50 ms':>11} {'p99 ms':>8} {'max ms':>8}")
    for rate_hz in RATES_HZ:
        lags_ms = asyncio.run(dispatch_lags_ns(rate_hz, rate_hz * SECONDS)) / 1e6
        p50, p99 = np.percentile(lags_ms, [50, 99])
        print(f"{rate_hz:>10} {len(lags_ms):>9} {p50:>11.3f} {p99:>8.3f} {lags_ms.max():>8.3f}")
        figures[f"lag_p50_ms_{rate_hz}"] = round(float(p50), 4)
        figures[f"lag_p99_ms_{rate_hz}"] = round(float(p99), 4)
        figures[f"lag_max_ms_{rate_hz}"] = round(float(lags_ms.max()), 4)
    print(json.dumps({"bench": "dispatch", "figures": figures}))


if __name__ == "__main__":
    main()
