"""Cascade: a cheap scorer judges everything, a dear one only what the cheap one is not sure of.

After Viola & Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features" (CVPR 2001), section 4, and
the two-threshold form of Chow, "On optimum recognition error and reject tradeoff" (IEEE Trans. Inf. Theory, 1970).
"""

from dataclasses import dataclass, replace

from guards.guard import Score, Scorer
from guards.subject import Subject


@dataclass(frozen=True)
class Cascade:
    """The cheap scorer's score where it is sure, else the dear one's.

    The dear one is asked where the cheap p(unsafe) lies in `band`, both ends in it: [0, 1] always asks it, and
    [0.5, 1] has it confirm what the cheap one finds. It is asked, too, where the cheap one gives neither a
    probability nor advice. The score that stands does so whole, with its own spans, categories and advice; the dear
    one's holds the cheap one's times (`Score.before`). A failure of either is the cascade's: what the cheap one was
    not sure of never passes because the dear one is down.
    """

    cheap: Scorer
    dear: Scorer
    band: tuple[float, float] = (0.2, 0.8)

    @property
    def max_match_chars(self) -> int:
        """The larger of the two."""
        return max(self.cheap.max_match_chars, self.dear.max_match_chars)

    async def score(self, subject: Subject) -> Score:
        """Judge one subject.

        Raises:
            Exception: whatever the scorer that was asked raises.
        """
        cheap = await self.cheap.score(subject)
        p, (low, high) = cheap.p_unsafe, self.band
        sure = cheap.advice is not None if p is None else not low <= p <= high
        if sure:  # what is no probability (NaN, 1.5) is in no band: it stands, and is an error
            return replace(cheap, detail=_said(f"cheap {_shown(p)}", cheap.detail))
        dear = await self.dear.score(subject)
        said = _said(f"dear after cheap {_shown(p)}", dear.detail)
        return replace(dear, detail=said, before=(cheap, *dear.before))


def _said(who: str, detail: str) -> str:
    return f"{who}: {detail}" if detail else who


def _shown(p: float | None) -> str:
    return "without p" if p is None else f"{p:.2f}"
