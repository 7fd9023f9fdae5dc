"""How well a score separates: AUROC with a bootstrap interval, and rates at a threshold."""

import numpy as np
from scipy.stats import rankdata  # type: ignore[import-untyped,unused-ignore]

from guards.training.shares import wilson

_RESAMPLES = 1000


def auroc(unsafe: np.ndarray, safe: np.ndarray) -> float:
    """Probability that an unsafe text scores higher than a safe one, ties by half (Mann-Whitney U)."""
    ranks = rankdata(np.concatenate([unsafe, safe]))
    above = ranks[: len(unsafe)].sum() - len(unsafe) * (len(unsafe) + 1) / 2
    return float(above / (len(unsafe) * len(safe)))


def auroc_interval(unsafe: np.ndarray, safe: np.ndarray) -> list[float]:
    """95 % percentile bootstrap interval of `auroc`, both samples redrawn; seeded."""
    rng = np.random.default_rng(20240601)
    draws = [auroc(rng.choice(unsafe, len(unsafe)), rng.choice(safe, len(safe))) for _ in range(_RESAMPLES)]
    return [round(float(value), 4) for value in np.percentile(draws, [2.5, 97.5])]


def recall_at(unsafe: np.ndarray, safe: np.ndarray, false_positive_rate: float) -> float:
    """Share of unsafe texts caught by the least threshold that flags at most that share of the safe ones."""
    allowed = int(false_positive_rate * len(safe))
    threshold = np.sort(safe)[::-1][allowed]
    return float((unsafe > threshold).mean())


def rate(scores: np.ndarray, threshold: float) -> dict[str, float | int]:
    """Share of `scores` at or above `threshold`, with its 95 % Wilson interval and the count behind it."""
    n, p = len(scores), float((scores >= threshold).mean())
    low, high = wilson(p, n)
    return {"rate": round(p, 4), "low": round(low, 4), "high": round(high, 4), "n": n}


def share(hits: np.ndarray) -> dict[str, float | int]:
    """Share of true ones, likewise with its interval."""
    return rate(1.0 * hits, 1.0)
