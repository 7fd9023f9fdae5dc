"""Our own layout: `id`, `category`, `label`, and `prompt` or `messages` or both."""

from typing import Any

from guards.subject import Message
from profiler.errors import UserError
from profiler.prompt_sets.prompt import LABELS, Prompt
from profiler.prompt_sets.rows import Row

_ROLES = ("system", "user", "assistant")
_NEEDS = "needs a JSON object with id, category, label, prompt"


def own_prompt(row: Row, place: str) -> Prompt:
    """The prompt of a row. `messages` may hold the whole conversation, or what comes before `prompt`.

    Raises:
        UserError: the place, and what the row lacks.
    """
    if missing := [key for key in ("id", "category", "label") if key not in row]:
        raise UserError(f"{place}: {_NEEDS} ('{missing[0]}')")
    turns, text = _turns(row.get("messages"), place), row.get("prompt")
    if turns and turns[-1].role == "user":
        if text not in (None, turns[-1].content):
            raise UserError(f"{place}: prompt is not the last turn of messages: leave one of them out")
        turns, text = turns[:-1], turns[-1].content
    elif text is None:
        raise UserError(
            f"{place}: messages must end with the user's turn" if turns else f"{place}: {_NEEDS} ('prompt')"
        )
    if not all(isinstance(value, str) for value in (row["id"], row["category"], text)):
        raise UserError(f"{place}: id, category and prompt must be text")
    if row["label"] not in LABELS:
        raise UserError(f"{place}: label `{row['label']}` is not one of {', '.join(LABELS)}")
    return Prompt(row["id"], row["category"], row["label"], str(text), turns)


def _turns(found: Any, place: str) -> tuple[Message, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not found:
        raise UserError(f"{place}: messages must be a list of {{role, content}}")
    return tuple(_turn(turn, i, place) for i, turn in enumerate(found))


def _turn(turn: Any, i: int, place: str) -> Message:
    role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
    if role not in _ROLES or not isinstance(content, str):
        raise UserError(f"{place}: messages.{i}: needs role ({', '.join(_ROLES)}) and content (text)")
    if role == "system" and i:
        raise UserError(f"{place}: messages.{i}: a system turn comes first: move it there")
    return Message(role, content)
