"""When requests arrive: pure functions to offsets in ns, and the reading of recorded traces.

Every function gives shape (n,) int64, not decreasing, in ns from the start of the trial. A smaller n with
the same seed gives the beginning of the same arrivals (`ramp` excepted).
"""

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]


def constant(rate_hz: float, n: int) -> Offsets:
    """Evenly spaced, the first at 0.

    Raises:
        ValueError: rate not positive or n negative.
    """
    _check(n, rate_hz=rate_hz)
    return _to_ns(np.arange(n) / rate_hz)


def poisson(rate_hz: float, n: int, seed: int) -> Offsets:
    """A Poisson process: independent exponential gaps of mean 1/rate.

    Raises:
        ValueError: rate not positive or n negative.
    """
    return gamma(rate_hz, n, 1.0, seed)


def gamma(rate_hz: float, n: int, burstiness: float, seed: int) -> Offsets:
    """Independent gamma gaps, shape = burstiness, scale = 1 / (rate * burstiness).

    vLLM bench's definition (`vllm/benchmarks/serve.py`, get_request): 1 is Poisson, less is burstier, more
    is steadier. vLLM then stretches the whole to last exactly n / rate; this does not, since the gaps
    would no longer be independent, nor Poisson at 1.

    Raises:
        ValueError: rate or burstiness not positive, or n negative.
    """
    _check(n, rate_hz=rate_hz, burstiness=burstiness)
    gaps = np.random.default_rng(seed).standard_gamma(burstiness, size=n)
    return _to_ns(np.cumsum(gaps) / (rate_hz * burstiness))


def ramp(start_hz: float, end_hz: float, n: int, seed: int) -> Offsets:
    """Exponential gaps whose rate goes in a straight line from start to end over the n requests.

    The rate is linear in the request's index, as in vLLM bench's linear ramp-up.

    Raises:
        ValueError: a rate not positive or n negative.
    """
    _check(n, start_hz=start_hz, end_hz=end_hz)
    gaps = np.random.default_rng(seed).standard_exponential(size=n)
    return _to_ns(np.cumsum(gaps / np.linspace(start_hz, end_hz, n)))


def _to_ns(seconds: npt.NDArray[np.float64]) -> Offsets:
    return np.rint(seconds * 1e9).astype(np.int64)


def _check(n: int, **positive: float) -> None:
    if n < 0:
        raise ValueError(f"n must not be negative, is {n}")
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite, is {value}")
