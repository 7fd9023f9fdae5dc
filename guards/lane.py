"""One answer under its output filters: what they have let go out, and its end."""

from collections.abc import Sequence
from dataclasses import replace

from guards.generation import Delta
from guards.outlet import Outlet, Released
from guards.standing import Cut, Watch
from guards.trace import Stage, Trace

CUT = " [stopped by the output filter]"


class Lane:
    """Feeds an answer to its filters and gives out what all that hold it have passed; `cut` where they end it."""

    def __init__(self, watches: list[Watch], trace: Trace) -> None:
        """Nothing came yet."""
        self.watches, self._trace, self._outlet = watches, trace, Outlet()
        self._holders = [watch for watch in watches if watch.filter.release == "after"]
        self._followers = [watch for watch in watches if watch.filter.release == "first"]
        # Who has passed least, and so holds the text.
        self._pacer = self._holders[0].filter.name if self._holders else ""
        self._newest: Delta | None = None
        self._final = False
        self.over = self.cut = False

    def add(self, delta: Delta) -> Sequence[Delta]:
        """The engine has written more: what may go out now."""
        if self.over:
            return ()
        final = self._final = self._final or delta.finish_reason is not None
        self._newest, text, tokens = delta, delta.text, delta.tokens
        self._outlet.add(delta)
        changed = not self._holders
        for watch in self._holders:
            changed |= watch.add(text, tokens, final=final)
        out = self.proceed() if changed else ()
        if self._followers and not self.over:
            # They see what has gone out.
            changed = False
            for watch in self._followers:
                changed |= watch.add(text, tokens, final=final)
            out = (*out, *self.proceed()) if changed else out
        return out

    def proceed(self, *, ended: bool = False) -> Sequence[Delta]:
        """What the filters let go out by now; `ended`: the engine has, perhaps without saying so."""
        if self.over or (ended and self._newest is None):
            return ()
        if ended and not self._final and self._newest is not None:
            self._final = True
            return self.add(replace(self._newest, text="", tokens=0))
        cut, limit = self._decided(), self._passed()
        if cut is None and self._final and all(watch.standing.done for watch in self.watches):
            self.over = True
            return (self._finish(limit),)
        out = self._let_go(limit if cut is None else min(limit, cut.at))
        if cut is not None and self._outlet.out >= cut.at:
            self.over = self.cut = True
            return (*out, self._stop())
        self._outlet.forget(min(watch.standing.floor for watch in self.watches))
        if len(self._holders) > 1:
            self._pacer = min(self._holders, key=lambda watch: watch.standing.passed).filter.name
        return out

    def _let_go(self, limit: int) -> Sequence[Delta]:
        if limit <= self._outlet.out or (released := self._outlet.release(limit)) is None:
            return ()
        self._held(released)
        piece = replace(released.last, text=released.text, tokens=released.tokens, finish_reason=None, times=None)
        return (piece,) if piece.text or piece.tokens else ()

    def _decided(self) -> Cut | None:
        """The cut, if there is one. Who holds text before it is told to judge that now, and may cut earlier."""
        cut = self._collect()
        if cut is None:
            return None
        for watch in self._holders:
            if watch.standing.cut is None and watch.standing.passed < cut.at:
                watch.hurry()
        return self._collect()

    def _collect(self) -> Cut | None:
        cuts = []
        for watch in self.watches:
            watch.collect()
            standing = watch.standing
            if standing.redact:
                self._outlet.redact(standing.take_redactions())
            if standing.cut is not None:
                cuts.append(standing.cut)
        return min(cuts, key=lambda cut: cut.at, default=None)

    def _passed(self) -> int:
        """The offset before which everybody who holds text has passed it."""
        return min((watch.standing.passed for watch in self._holders), default=self._outlet.end)

    def _finish(self, limit: int) -> Delta:
        last, released = self._newest, self._outlet.release(limit)
        assert last is not None
        if released is None:
            return replace(last, text="", tokens=0)
        self._held(released)
        rewritten = next((w.standing.rewritten for w in self.watches if w.standing.rewritten is not None), None)
        text = released.text if rewritten is None else rewritten
        return replace(last, text=text, tokens=released.tokens)

    def _held(self, released: Released) -> None:
        """Record the wait, once for all who held the text: under the name of the one that let it go last."""
        if self._holders:
            self._trace.span(self._pacer, Stage.HOLD_BACK, released.oldest_ns, self._trace.now_ns(), critical=True)

    def _stop(self) -> Delta:
        starts = [w.standing.cut.unsafe_from for w in self.watches if w.standing.cut is not None]
        known = [start for start in starts if start is not None]
        if known:
            self._trace.exposed_tokens += self._outlet.exposed(min(known))
        return Delta(CUT, 0, self._trace.now_ns(), self._newest.index if self._newest else 0, finish_reason="cut")
