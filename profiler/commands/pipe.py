"""The reader of a pipe may leave before all is printed, as `head` does: no error, and nothing more to say."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End the block quietly where standard output has no reader any more; rich says so by `SystemExit`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not _has_left():
            raise  # another pipe: a worker's
        _nowhere()
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _nowhere()


def _has_left() -> bool:
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(said & (select.POLLERR | select.POLLHUP) for _, said in output.poll(0))


def _nowhere() -> None:
    """What is still in the buffer goes nowhere: Python would complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
