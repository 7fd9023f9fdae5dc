"""Another share of harmful requests: each label's requests count by their share there, if the load may stay the same.

The latencies of a sweep are those of its own mix. They hold for another if a request of either label is as much work
for the engine: then rates, queues and batches are the same, and only whose latencies count how much changes. A guard
that blocks early spares the engine the harmful requests' answers: with fewer of them the same rate is more work, the
latencies are others, and only a sweep of that mix tells them.
"""

from collections.abc import Sequence

import numpy as np

from profiler.analysis.percentiles import Objective, share_within
from profiler.analysis.stats import Interval
from profiler.capacity_plan.probes import WORK, PlanProbe

WORK_TOLERANCE = 0.02
ASSUMED = (
    "a request of either label is as much work for the engine: in this sweep another share of harmful requests "
    f"changes the tokens a request by at most {WORK_TOLERANCE:.0%}"
)


def why_not(probes: Sequence[PlanProbe], harmful: float) -> str:
    """Why the sweep cannot tell what the arm does at that share; empty where it can."""
    steady = [probe for probe in probes if not probe.stopped]
    labels = np.concatenate([probe.harmful for probe in steady]) if steady else np.zeros(0, dtype=np.bool_)
    kinds = _weights(harmful)
    for kind, _ in kinds:
        if not (labels == kind).any():
            return f"no {'harmful' if kind else 'harmless'} request in this sweep"
    for name, change in work_changes(probes, harmful).items():
        if abs(change) > WORK_TOLERANCE:
            return (
                f"at {harmful:.3g} harmful the engine has {100 * change:+.0f} % {name} a request "
                f"(its own share here is {labels.mean():.3g}): the load is another"
            )
    return ""


def work_changes(probes: Sequence[PlanProbe], harmful: float) -> dict[str, float]:
    """By how much a request's mean work would be another at that share, relative, by `WORK`; labels are all there."""
    steady = [probe for probe in probes if not probe.stopped]
    labels = np.concatenate([probe.harmful for probe in steady])
    work = np.concatenate([probe.work for probe in steady], axis=1)
    there = sum(weight * work[:, labels == kind].mean(axis=1) for kind, weight in _weights(harmful))
    pairs = zip(WORK, work.mean(axis=1).tolist(), np.asarray(there).tolist(), strict=True)
    return {name: after / before - 1 for name, before, after in pairs if before > 0}


def share_in_mix(probes: Sequence[PlanProbe], objective: Objective, harmful: float | None) -> Interval | None:
    """The share of requests at one rate that keep the objective, in the sweep's mix or at another share.

    At another share the weighted sum over labels, its interval by the square-and-add of each label's own (MOVER: Zou
    & Donner 2008). None where no request has the metric, or a label that counts has none.
    """
    if harmful is None:
        known = [found for probe in probes if len(found := probe.of(objective.metric))]
        return share_within(known, objective) if known else None
    parts = []
    for kind, weight in _weights(harmful):
        known = [found for probe in probes if len(found := probe.of(objective.metric, kind))]
        if not known:
            return None
        parts.append((weight, share_within(known, objective)))
    share = sum(weight * one.estimate for weight, one in parts)
    down = sum((weight * (one.estimate - one.low)) ** 2 for weight, one in parts) ** 0.5
    up = sum((weight * (one.high - one.estimate)) ** 2 for weight, one in parts) ** 0.5
    return Interval(share, max(0.0, share - down), min(1.0, share + up), 0.95)


def tokens_a_request(probes: Sequence[PlanProbe], harmful: float | None) -> float:
    """Mean tokens delivered for a request, over all probes that no backlog grew in; 0 without one."""
    steady = [probe for probe in probes if not probe.stopped]
    if not steady:
        return 0.0
    tokens, labels = (np.concatenate([getattr(probe, name) for probe in steady]) for name in ("tokens", "harmful"))
    if harmful is None:
        return float(tokens.mean())
    return float(sum(weight * tokens[labels == kind].mean() for kind, weight in _weights(harmful)))


def _weights(harmful: float) -> list[tuple[bool, float]]:
    """A label of no weight need not be there."""
    return [(kind, weight) for kind, weight in ((False, 1 - harmful), (True, harmful)) if weight > 0]
