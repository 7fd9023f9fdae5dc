"""The log-probabilities at the place where a guard model writes its label."""

import math
from collections.abc import Mapping, Sequence

from guards.families.schema import ScoreAt
from guards.scorers.endpoint.answers import Token
from guards.scorers.endpoint.connection import EndpointError

_LITTLE = 0.01  # how much what is not listed may change p(unsafe)


def label_logprobs(tokens: Sequence[Token], where: ScoreAt) -> dict[str, float]:
    """Token text -> log-probability at the label's place, each label of `where` in it.

    A server lists the likeliest tokens only. One that is not among them has at most the probability of the last in
    the list, and at most what the list leaves over. Where all that is not listed moves p by less than 1 %, a label
    without a token in the list gets that bound.

    Raises:
        EndpointError: the model did not write what comes before the label, or what is not listed could weigh more.
    """
    listed = _label_place(tokens, where.after).top
    texts = [text for spellings in where.tokens.values() for text in spellings]
    found = {text: listed[text] for text in texts if text in listed}
    missing, bound = [text for text in texts if text not in listed], _bound(listed)
    if missing and len(missing) * bound > _LITTLE * math.fsum(map(math.exp, found.values())):
        raise EndpointError(f"{missing[0]!r} is not among the {len(listed)} likeliest tokens, and could weigh")
    unlisted = [spellings[0] for spellings in where.tokens.values() if not found.keys() & set(spellings)]
    return found | dict.fromkeys(unlisted, math.log(bound) if bound > 0.0 else -math.inf)


def _bound(listed: Mapping[str, float]) -> float:
    """The most that a token outside the list can have."""
    if not listed:
        return 1.0
    return max(0.0, min(math.exp(min(listed.values())), 1.0 - math.fsum(map(math.exp, listed.values()))))


def _label_place(tokens: Sequence[Token], after: str) -> Token:
    """The first token behind `after`. Where `after` is blank, models differ in how much of it they write."""
    said = ""
    for token in tokens:
        blank = not after.strip() and not said.strip() and bool(token.text.strip())
        if said == after or blank:
            return token
        said += token.text
    raise EndpointError(f"the model did not write {after!r} and a label behind it")
