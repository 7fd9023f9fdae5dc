"""Load: when requests arrive, and sending them then."""

from profiler.load.arrivals import Offsets, constant, gamma, poisson, ramp
from profiler.load.dispatch import Send, closed_loop, open_loop
from profiler.load.quiet import quiet_gc
from profiler.load.schedule import schedule, window
from profiler.load.trace_replay import TraceRow, trace_replay

__all__ = [
    "Offsets",
    "Send",
    "TraceRow",
    "closed_loop",
    "constant",
    "gamma",
    "open_loop",
    "poisson",
    "quiet_gc",
    "ramp",
    "schedule",
    "trace_replay",
    "window",
]
