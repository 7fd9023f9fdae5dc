"""An event loop in a thread of its own, for frameworks whose coroutines compute: ours stays free for the requests."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines side by side in one daemon thread, which the interpreter does not wait for at its end."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name=name, daemon=True).start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, done over there; cancelling this cancels it.

        Raises:
            Exception: whatever `work` raises.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
