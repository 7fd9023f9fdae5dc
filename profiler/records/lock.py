"""One process writes a run at a time: a lock that the system takes back when its process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from profiler.errors import UserError

NAME = ".lock"


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Hold the run's lock.

    Raises:
        UserError: another process holds it, or the folder is not writable.
    """
    try:
        file = (run / NAME).open("ab")
    except OSError as error:
        raise UserError(f"{run}: cannot be written: {error.strerror}: choose a run that can be") from error
    with file:
        try:
            # Of this process alone: an engine that outlives it, forked from it, does not hold the run.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{run}: another process is still at it: wait until it ends, or end it") from None
        yield
