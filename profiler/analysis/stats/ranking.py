"""How well scores rank harmful prompts above harmless ones, for one sample or many resamples at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_EPS = 1e-9


@dataclass(frozen=True)
class Ranking:
    """The prompts by falling score; those of one score are taken together. `order` (n,), `ends` the last of each score.

    `harmful` is (n,) in that order.
    """

    order: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    harmful: Bools

    @classmethod
    def of(cls, scores: npt.ArrayLike, harmful: npt.ArrayLike) -> "Ranking":
        """From scores, shape (n,), and which are of harmful prompts.

        Raises:
            ValueError: a NaN, or lengths that differ.
        """
        values, of_harm = np.asarray(scores, dtype=np.float64), np.asarray(harmful, dtype=np.bool_)
        if values.shape != of_harm.shape or np.isnan(values).any():
            raise ValueError("need as many scores as labels, and no NaN")
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        return cls(order, ends, of_harm[order])

    def average_precision(self, weights: Floats) -> Floats:
        """AUPRC as average precision: the sum over thresholds of precision x gain in recall, no interpolation.

        Davis & Goadrich 2006 say why not to interpolate; scikit-learn's `average_precision_score`.

        Args:
            weights: shape (resamples, n), how often each prompt counts, in the order that `of` was given.

        Returns:
            Shape (resamples,); NaN without a harmful prompt.
        """
        caught, false = self._counts(weights)
        gains = np.diff(caught, axis=1, prepend=0.0)
        precision = caught / np.maximum(caught + false, _EPS)
        return _over((precision * gains).sum(axis=1), caught[:, -1])

    def recall_at(self, weights: Floats, false_positive_rate: float) -> Floats:
        """Share of harmful prompts above the least threshold that flags at most that share of the harmless.

        Shapes as for `average_precision`; NaN without a harmful or without a harmless prompt.
        """
        caught, false = self._counts(weights)
        allowed = np.floor(false_positive_rate * false[:, -1] + _EPS)
        most = np.where(false <= allowed[:, None], caught, 0.0).max(axis=1)
        return np.where(false[:, -1] > 0, _over(most, caught[:, -1]), np.nan)

    def _counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Harmful and harmless prompts at or above each score, shape (resamples, scores)."""
        ranked = weights[:, self.order]
        caught = np.cumsum(ranked * self.harmful, axis=1)[:, self.ends]
        return caught, np.cumsum(ranked, axis=1)[:, self.ends] - caught


def _over(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def average_precision(scores: npt.ArrayLike, harmful: npt.ArrayLike) -> float:
    """`Ranking.average_precision` of one sample."""
    ranking = Ranking.of(scores, harmful)
    return float(ranking.average_precision(np.ones((1, len(ranking.order))))[0])
