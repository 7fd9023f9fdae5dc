"""An arm's tokens and TTFT, second by second: what a sparkline shows. Pure arithmetic on times that it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from profiler.records.record import Outcome, RequestRecord

KEPT_S = 120
_LEAST_S = 0.5


@dataclass
class TrialCells:
    """One trial under way, in cells of a second from `began_ns` on.

    An answer's tokens count evenly over the time of its delivery. Answers that are still being written are not known
    yet, so cells as young as the longest answer may still grow: `settled` leaves them out.
    """

    began_ns: int
    tokens: list[float] = field(default_factory=list)
    ttft_ms: list[float] = field(default_factory=list)  # sums
    firsts: list[int] = field(default_factory=list)
    longest_ns: int = 0

    def add(self, record: RequestRecord) -> None:
        """A request has ended; what failed, or has no text, counts in no cell."""
        if not record.first_ns or record.outcome is Outcome.ERROR:
            return
        first, last = ((at - self.began_ns) / 1e9 for at in (record.first_ns, record.last_ns))
        first = max(first, 0.0)
        self._reach(last := max(last, first))
        self.longest_ns = max(self.longest_ns, record.last_ns - record.sent_ns)
        self.firsts[int(first)] += 1
        self.ttft_ms[int(first)] += (record.first_ns - record.scheduled_ns) / 1e6
        if int(first) == int(last):
            self.tokens[int(last)] += record.output_tokens
            return
        rate = record.output_tokens / (last - first)
        for cell in range(int(first), int(last) + 1):
            self.tokens[cell] += rate * (min(last, cell + 1.0) - max(first, float(cell)))

    def settled(self, now_ns: int, *, over: bool = False) -> "Cells":
        """The cells that are whole; those of a trial that is over all are, its last one by the time that it lasted."""
        passed_s = (now_ns - self.began_ns) / 1e9
        whole = max(0, int(passed_s if over else passed_s - self.longest_ns / 1e9))
        kept = slice(max(0, whole - KEPT_S), whole)
        tokens, sums, firsts = self.tokens[kept], self.ttft_ms[kept], self.firsts[kept]
        missing = whole - kept.start - len(tokens)
        rates: list[float | None] = [*tokens, *[0.0] * missing]
        means: list[float | None] = [s / n if n else None for s, n in zip(sums, firsts, strict=True)]
        means += [None] * missing
        if over and len(self.tokens) > whole and passed_s - whole >= _LEAST_S:
            rates.append(self.tokens[whole] / (passed_s - whole))
            means.append(self.ttft_ms[whole] / self.firsts[whole] if self.firsts[whole] else None)
        return Cells(rates, means)

    def _reach(self, second: float) -> None:
        missing = int(second) + 1 - len(self.tokens)
        if missing > 0:
            self.tokens += [0.0] * missing
            self.ttft_ms += [0.0] * missing
            self.firsts += [0] * missing


@dataclass(frozen=True)
class Cells:
    """Output tokens a second, and mean TTFT in ms, of one second after another; None where no answer began."""

    tokens_per_s: Sequence[float | None] = ()
    ttft_ms: Sequence[float | None] = ()

    def then(self, later: "Cells") -> "Cells":
        """These and the later ones, the last `KEPT_S` of them."""
        return Cells(
            [*self.tokens_per_s, *later.tokens_per_s][-KEPT_S:],
            [*self.ttft_ms, *later.ttft_ms][-KEPT_S:],
        )
