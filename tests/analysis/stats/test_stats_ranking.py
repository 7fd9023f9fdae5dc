"""AUPRC, recall at a rate of false positives, and rates at thresholds, against what brute force finds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.training.measures import recall_at
from profiler.analysis.stats import Ranking, average_precision, stratified_bootstrap

# Few distinct scores, so that ties are the rule.
scored = st.lists(st.tuples(st.integers(0, 6).map(lambda k: k / 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({harmful for _, harmful in rows}) == 2
)


def by_hand(scores: list[float], harmful: list[bool]) -> float:
    """Precision x gain in recall at every distinct threshold, from the highest down."""
    total, before, found = sum(harmful), 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        flagged = [h for s, h in zip(scores, harmful, strict=True) if s >= threshold]
        recall = sum(flagged) / total
        found += (recall - before) * sum(flagged) / len(flagged)
        before = recall
    return found


@given(scored)
def test_average_precision(rows: list[tuple[float, bool]]) -> None:
    scores, harmful = map(list, zip(*rows, strict=True))
    assert average_precision(scores, harmful) == pytest.approx(by_hand(scores, harmful))


@given(scored, st.sampled_from([0.01, 0.1, 0.34, 0.5]))
def test_recall_at_a_rate_of_false_positives_is_the_one_of_the_cards(
    rows: list[tuple[float, bool]], allowed: float
) -> None:
    scores, harmful = (np.array(part) for part in zip(*rows, strict=True))
    ranking = Ranking.of(scores, harmful)
    (found,) = ranking.recall_at(np.ones((1, len(rows))), allowed)
    assert found == pytest.approx(recall_at(scores[harmful], scores[~harmful], allowed))


@given(scored, st.randoms(use_true_random=False))
def test_a_weight_of_two_is_the_prompt_twice(rows: list[tuple[float, bool]], random: object) -> None:
    rng = np.random.default_rng(len(rows))
    weights = rng.integers(1, 4, len(rows))
    scores, harmful = (np.array(part) for part in zip(*rows, strict=True))
    (found,) = Ranking.of(scores, harmful).average_precision(weights[None, :].astype(float))
    assert found == pytest.approx(average_precision(np.repeat(scores, weights), np.repeat(harmful, weights)))


def test_without_a_side_there_is_no_figure() -> None:
    alone = Ranking.of([0.1, 0.2], [False, False])
    ones = np.ones((1, 2))
    assert math.isnan(alone.average_precision(ones)[0])
    assert math.isnan(Ranking.of([0.1], [True]).recall_at(np.ones((1, 1)), 0.01)[0])
    with pytest.raises(ValueError, match="no NaN"):
        Ranking.of([float("nan")], [True])


def test_the_bootstrap_keeps_the_labels_apart_and_repeats_itself() -> None:
    strata = np.repeat([0, 1, 2], [5, 20, 75])
    seen: list[np.ndarray] = []

    def statistics(weights: np.ndarray) -> np.ndarray:
        seen.append(np.stack([weights[:, strata == s].sum(axis=1) for s in range(3)], axis=1))
        return (weights @ (strata == 1) * np.arange(100).mean() + weights @ np.arange(100))[:, None]

    first = stratified_bootstrap(statistics, strata, seed=3)
    assert (np.concatenate(seen) == [5, 20, 75]).all()
    assert first == stratified_bootstrap(statistics, strata, seed=3)
    assert first != stratified_bootstrap(statistics, strata, seed=4)


def test_the_bootstraps_interval_is_about_right_for_a_mean() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        values = rng.normal(size=60)
        (found,) = stratified_bootstrap(lambda w, v=values: (w @ v / 60)[:, None], np.zeros(60), seed=seed)  # type: ignore[misc]
        assert found is not None
        hits += found.contains(0.0)
    assert 180 <= hits <= 199


def test_resamples_that_all_agree_set_no_bound() -> None:
    (same,) = stratified_bootstrap(lambda w: np.ones((len(w), 1)), np.zeros(4), seed=1)
    assert same is not None and (same.low, same.estimate, same.high) == (-math.inf, 1.0, math.inf)
    (none,) = stratified_bootstrap(lambda w: np.full((len(w), 1), np.nan), np.zeros(4), seed=1)
    assert none is None
