"""Round a guard of the user's own: what it raises fails one request, not the run."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from guards.generation import Delta, GenerationError, GenerationRequest, Generator
from guards.guard import Guard


@dataclass(frozen=True)
class OwnGuard:
    """Passes on what `guard` does, under its name."""

    guard: Guard
    name: str

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The guard's stream.

        Raises:
            GenerationError: the guard raised something, which the message names; or the engine's own.
        """
        try:
            async with aclosing(self.guard.generate(request, inner)) as stream:  # type: ignore[type-var]
                async for delta in stream:
                    yield delta
        except GenerationError:
            raise
        except Exception as error:
            raise GenerationError(f"guard {self.name}: {type(error).__name__}: {error}") from error
