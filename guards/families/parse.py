"""A guard model's output as a verdict. What does not match the family's grammar whole is an error, never "safe"."""

import math
from collections.abc import Mapping

from guards.families.read import Fields, Unreadable, read
from guards.families.schema import Family, Label
from guards.subject import Side
from guards.verdict import Action, Status, Verdict


def parse(family: Family, text: str, side: Side) -> Verdict:
    """The verdict about one side in the whole text that the model generated.

    `p_unsafe` is what the family's label stands for (1.0 or 0.0; 0.5 for Qwen3Guard's Controversial), `p_refusal` 1.0
    or 0.0 where the family tells it. `status` is ERROR (and `action` BLOCK, `p_unsafe` None) for anything that the
    family's forms do not match from the first character to the last: empty, cut off, two labels, another case.
    """
    try:
        return _verdict(family, read(family.reading, text, side), side)
    except Unreadable as error:
        return _error(f"{family.name}: {error}: {text[:80]!r}")


def from_logprobs(family: Family, logprobs: Mapping[str, float], threshold: float = 0.5) -> Verdict:
    """The verdict from natural-log probabilities of the tokens at the family's label position.

    p_unsafe is the softmax over the family's label tokens, each weighted by what its label stands for (ShieldGemma's
    card: softmax of Yes and No). A label may have several spellings; those given are added up.

    Args:
        family: must have `reading.score_at`.
        logprobs: token text -> log-probability (<= 0); other tokens are ignored.
        threshold: BLOCK at or above it, else ALLOW.

    Returns:
        status ERROR where a label has no token in `logprobs`, or all are -inf, or one is NaN or above 0.
    """
    where = family.reading.score_at
    if where is None:
        return _error(f"{family.name} has no label position to score")
    masses: dict[str, float] = {}
    for label, tokens in where.tokens.items():
        given = [logprobs[token] for token in tokens if token in logprobs]
        # A little above 0 comes from engines that round.
        if not given or any(math.isnan(value) or value > 1e-3 for value in given):
            return _error(f"{family.name}: no usable log-probability for label {label!r} (tokens {list(tokens)})")
        masses[label] = math.fsum(math.exp(value) for value in given)
    total = math.fsum(masses.values())
    if total <= 0.0:
        return _error(f"{family.name}: no label token has any probability")
    p = math.fsum(mass / total * family.reading.labels[label].p_unsafe for label, mass in masses.items())
    p = min(1.0, max(0.0, p))
    return Verdict(action=Action.BLOCK if p >= threshold else Action.ALLOW, p_unsafe=p)


def _verdict(family: Family, fields: Fields, side: Side) -> Verdict:
    label = _label(family, fields, side)
    if any(_contradicts(family, fields, line) for line in family.reading.categories_field.values()):
        raise Unreadable("says safe and names categories")
    # A line that serves both sides may name those of the other.
    line = family.reading.categories_field.get(side) if label.p_unsafe > 0.0 else None
    return Verdict(
        action=label.action,
        p_unsafe=label.p_unsafe,
        p_refusal=_refusal(family, fields),
        categories=_categories(family, fields, line),
    )


def _label(family: Family, fields: Fields, side: Side) -> Label:
    word = fields.get(family.reading.label_field[side])
    if word is None or word not in family.reading.labels:
        raise Unreadable(f"no label for the {side}")
    return family.reading.labels[word]


def _contradicts(family: Family, fields: Fields, line: str) -> bool:
    """Whether a categories line names some though every side that it serves is said to be safe."""
    reading = family.reading
    serves = [reading.label_field[side] for side, name in reading.categories_field.items() if name == line]
    words = [fields.get(name) or "" for name in serves]
    safe = all(reading.labels[word].p_unsafe == 0.0 for word in words if word in reading.labels)
    return safe and bool(_categories(family, fields, line))


def _categories(family: Family, fields: Fields, line: str | None) -> tuple[str, ...]:
    """Names of the categories in a comma-separated line, each once.

    A code that the table lacks stays as it is: the deployment may have its own table, and an unsafe verdict must not
    become an error for it.
    """
    words = [word.strip(" \t") for word in (fields.get(line or "") or "").split(",")]
    kept = (word for word in words if word and word not in family.reading.no_category)
    return tuple(dict.fromkeys(family.categories.get(word, word) for word in kept))


def _refusal(family: Family, fields: Fields) -> float | None:
    word = fields.get("refusal")
    if word is None:
        return None
    if word not in family.reading.refusal:
        raise Unreadable(f"refusal is {word!r}")
    return family.reading.refusal[word]


def _error(detail: str) -> Verdict:
    return Verdict(action=Action.BLOCK, status=Status.ERROR, detail=detail)
