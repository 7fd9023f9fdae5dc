"""Round a guard of the user's own: what it does wrong fails one request, not the run."""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from guards.asking import cancels_asked
from guards.generation import Delta, GenerationError, GenerationRequest, Generator
from guards.guard import Guard
from guards.told import told


@dataclass(frozen=True)
class OwnGuard:
    """Passes on what `guard` does, under its name. What it began of the engine's work ends with it."""

    guard: Guard
    name: str

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The guard's stream.

        Raises:
            GenerationError: the guard raised something, gave what is no delta, or left its answer without an end,
                which the message says; or the engine's own.
        """
        began, ended = _Began(inner), False
        try:
            async with aclosing(self._stream(request, began)) as stream:  # type: ignore[type-var]
                async for delta in stream:
                    ended |= self._checked(delta).finish_reason is not None
                    yield delta
            if not ended:
                raise GenerationError(f"guard {self.name}: its answer ended without a finish_reason")
        except (GenerationError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if cancels_asked():
                raise
            raise GenerationError(f"guard {self.name}: {told(error)}") from error
        finally:
            await began.close()

    def _stream(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        found: object = self.guard.generate(request, inner)
        if not (isinstance(found, AsyncIterator) and hasattr(found, "aclose")):
            raise GenerationError(f"guard {self.name}: generate gave {type(found).__name__}, not an async generator")
        return found

    def _checked(self, found: object) -> Delta:
        if not isinstance(found, Delta):
            raise GenerationError(f"guard {self.name}: yielded {type(found).__name__}, not a Delta")
        if not (isinstance(found.text, str) and isinstance(found.tokens, int) and isinstance(found.emitted_ns, int)):
            raise GenerationError(f"guard {self.name}: yielded a Delta with text, tokens or emitted_ns of a wrong type")
        return found


@dataclass(frozen=True)
class _Began:
    """The generator as the guard gets it: knows which streams were begun."""

    inner: Generator
    streams: list[AsyncIterator[Delta]] = field(default_factory=list)

    def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        self.streams.append(self.inner.generate(request))
        return self.streams[-1]

    async def close(self) -> None:
        for stream in self.streams:
            # A stream that a task of the guard's own still reads says that it cannot be closed.
            with suppress(RuntimeError):
                await stream.aclose()  # type: ignore[attr-defined]
