"""The sweep that would tell what this one does not."""

import math
from collections.abc import Sequence

from profiler.analysis.percentiles import Objective


def sweep_command(objectives: Sequence[Objective], harmful: float | None = None, seconds: float = 0.0) -> str:
    """The command, and what the scenario must say; `seconds` is how long a probe must be, 0 for its default.

    A scenario has one limit a metric: of several, the tightest.
    """
    metrics = dict.fromkeys(one.metric for one in objectives)
    tightest = {metric: min(one.limit_ms for one in objectives if one.metric == metric) for metric in metrics}
    limits = ", ".join(f"{metric}: {limit:g}" for metric, limit in tightest.items())
    share = 100 * max(one.share for one in objectives)
    longer = f" --probe-seconds {math.ceil(seconds)}" if seconds else ""
    mix = "" if harmful is None else f" and `prompts: {{harmful_fraction: {harmful:g}}}`"
    return f"run `alignment-tax saturate --curve --good-fraction {share:g}%{longer}` with `slo: {{{limits}}}`{mix}"
