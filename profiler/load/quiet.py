"""Python's cyclic garbage collector, kept out of a trial."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Collect once, then freeze the heap and keep the cyclic collector off while the block runs.

    A full collection stops every coroutine for tens of milliseconds on a large heap, and when it comes
    depends on how much was allocated, hence on the arm. Reference counting goes on; what only the collector
    could free stays until the end, so a trial's memory must leave room for it. Nests: an inner block
    leaves the collector as it found it, off.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
