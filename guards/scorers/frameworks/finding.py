"""What a framework found, and how it becomes what the callable scorer takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guards.subject import Side
from guards.verdict import Action

Turns = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome in no framework's words.

    `stop`: the framework would not let the text pass. `flag`: it lets it pass, and says that something is wrong.
    `changed` is the text as it would pass it on, None where it does not say; beside `stop` it is set only where that
    text would do instead. `spans` are (start, end, category) in the judged text.
    """

    stop: bool
    p_unsafe: float | None = None
    categories: tuple[str, ...] = ()
    changed: str | None = None
    spans: tuple[tuple[int, int, str], ...] = ()
    flag: bool = False


def as_mapping(found: Finding, text: str, conversation: Turns, side: Side) -> dict[str, Any]:
    """The finding about `text` as a function of the user's would return it."""
    changed = found.changed if found.changed != text else None
    mapping: dict[str, Any] = {
        "action": _action(found, side, changed=changed is not None),
        "p_unsafe": found.p_unsafe,
        "categories": list(found.categories),
    }
    if side == "prompt" and changed is not None:
        mapping["rewritten"] = in_last_turn(changed, conversation)
    elif side == "answer":
        # What a stream releases can be masked, not put in other words. Spans of a text that has been changed may
        # count from a version between.
        mapping["spans"] = list(found.spans) if changed is None else [changed_span(text, changed)]
    return mapping


def _action(found: Finding, side: Side, *, changed: bool) -> Action:
    if found.stop:
        return Action.BLOCK
    if changed:
        return Action.REWRITE if side == "prompt" else Action.REDACT
    return Action.FLAG if found.flag else Action.ALLOW


def in_last_turn(changed: str, conversation: Turns) -> str | None:
    """The last user turn where `changed` takes the place of all user turns, joined by newlines.

    None where an earlier turn was changed, too: only the last can be put in other words.
    """
    earlier = [turn["content"] for turn in conversation if turn["role"] == "user"][:-1]
    before = "".join(f"{content}\n" for content in earlier)
    return changed.removeprefix(before) if changed.startswith(before) else None


def changed_span(before: str, after: str) -> tuple[int, int, str]:
    """The stretch of `before` outside which the two are equal. Linear in their length, unlike a full comparison."""
    shorter = min(len(before), len(after))
    start = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    kept = next((i for i in range(shorter - start) if before[-1 - i] != after[-1 - i]), shorter - start)
    return start, len(before) - kept, "changed"
