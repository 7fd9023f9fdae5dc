"""From generated text to the fields of a family's form, or not at all."""

import json
import re

from guards.families.schema import Form, Reading, Reasoning
from guards.subject import Side

Fields = dict[str, str | None]
_BLANK = " \t\r\n"
# No family's verdict is near this long; reasoning may be. Longer output is not read: time stays bounded.
_LONGEST_CHARS = 200_000


class Unreadable(ValueError):
    """The output does not match the family's grammar; says how."""


def read(reading: Reading, text: str, side: Side) -> Fields:
    """The fields of the first form that matches the whole output (without its reasoning and end token).

    Raises:
        Unreadable: none does.
    """
    if len(text) > _LONGEST_CHARS:
        raise Unreadable("output too long")
    said = _without_end(reading, text.strip(_BLANK))
    if reading.reasoning is not None:
        said = _after(reading.reasoning, said)
    if not said:
        raise Unreadable("no verdict in the output")
    for form in reading.forms:
        fields = _fields(form, said) if side in form.sides or not form.sides else None
        if fields is not None:
            return fields
    raise Unreadable("output does not match the family's format")


def _without_end(reading: Reading, text: str) -> str:
    for token in reading.end_tokens:
        if text.endswith(token):
            return text.removesuffix(token).rstrip(_BLANK)
    return text


def _after(reasoning: Reasoning, text: str) -> str:
    """What follows the reasoning. A judged text that is quoted in it cannot end it: `close` may occur once only."""
    opened, closed = text.count(reasoning.open), text.count(reasoning.close)
    if opened == closed == 0:
        if reasoning.required:
            raise Unreadable("no reasoning")
        return text
    if opened != 1 or closed != 1 or not text.startswith(reasoning.open):
        raise Unreadable("reasoning not closed, or closed twice")
    return text.split(reasoning.close, 1)[1].strip(_BLANK)


def _fields(form: Form, said: str) -> Fields | None:
    if form.kind == "json":
        return _json_fields(form, said)
    found = re.fullmatch(form.pattern, said)
    return None if found is None else dict(found.groupdict())


def _json_fields(form: Form, said: str) -> Fields | None:
    """Fields of a JSON object without repeated or unknown keys. Numbers and null become text and None."""
    try:
        pairs = json.loads(said, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, _Pairs):
        return None
    values = dict(pairs)
    known = {*form.keys.values(), *form.also}
    if len(values) != len(pairs) or not set(form.needs) <= set(values) <= known:
        return None
    return {field: _word(values[key]) for field, key in form.keys.items() if key in values}


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written, repeated keys too."""


def _word(value: object) -> str | None:
    if isinstance(value, _Pairs | list | bool | float):
        return "(not a word)"  # matches no label
    return value if value is None or isinstance(value, str) else str(value)
