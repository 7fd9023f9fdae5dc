"""L2-regularised logistic regression by L-BFGS, and Platt's calibration."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped,unused-ignore]
from scipy.sparse import csr_array  # type: ignore[import-untyped,unused-ignore]


@dataclass(frozen=True)
class Linear:
    """logit = features @ weights + bias."""

    weights: np.ndarray
    bias: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(n, d) features -> (n,) log odds."""
        return np.asarray(features @ self.weights + self.bias)


def fit(features: np.ndarray, labels: np.ndarray, sample_weights: np.ndarray, l2: float) -> Linear:
    """Minimise the weighted mean log loss plus `l2` times the squared norm of the weights (not the bias)."""
    share = sample_weights / sample_weights.sum()
    # Hashed n-grams are nearly all zeros: sparse products are ten times faster than dense ones.
    sparse = csr_array(features.astype(np.float64))
    transposed = csr_array(sparse.T)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        logits = sparse @ weights + bias
        slope = share * (sigmoid(logits) - labels)
        value = share @ (np.logaddexp(0.0, logits) - labels * logits) + l2 * weights @ weights
        return float(value), np.append(transposed @ slope + 2.0 * l2 * weights, slope.sum())

    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Linear(found[:-1].astype(np.float32), float(found[-1]))


def platt(logits: np.ndarray, labels: np.ndarray, sample_weights: np.ndarray) -> Linear:
    """Scale and offset that make held-out log odds mean what they say (Platt 1999, section 2.2).

    Targets are drawn in from 0 and 1 as Platt does, against over-confidence on few samples.
    """
    positives, negatives = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    return fit(logits[:, None], targets, sample_weights, l2=0.0)


def calibrated(model: Linear, scale: Linear) -> Linear:
    """`model` with the calibration folded into its weights and bias."""
    slope = float(scale.weights[0])
    return Linear(model.weights * slope, model.bias * slope + scale.bias)


def balanced(labels: np.ndarray, emphasis: np.ndarray) -> np.ndarray:
    """`emphasis` scaled so that both classes weigh the same in all."""
    weights = emphasis.astype(float).copy()
    for label in (0, 1):
        weights[labels == label] /= weights[labels == label].sum()
    return weights


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Log odds to probability, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
