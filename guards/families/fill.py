"""Fills a family's template with judged text that may be hostile.

Three rules keep the judged text from closing the template:

1. The template is scanned once for its placeholders and each is replaced by its text as it is; what was put in is
   never scanned again, so `{{policy}}` or `{0}` in a user's text stays those characters. No `str.format`.
2. Every marker of the family (special tokens such as `<s>`, closing tags such as `<END CONVERSATION>`), and anything
   like `<|eot_id|>`, inside judged text gets a space after its first character: it is no special token any more.
3. A heading of the template (`AI assistant:`) at the start of a line of judged text is quoted with `> `.

What this cannot do: a model may still be talked into a verdict by plain words. Engines that can tokenize parts apart
should.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guards.families.schema import PLACEHOLDER, Family, Template
from guards.subject import Message, Side

# Everything that str.splitlines takes for the end of a line.
_LINE_START = r"(?:\A|(?<=[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]))"


# Special tokens of most tokenizers, reserved ones too, whatever the family lists.
_SPECIAL = r"<\|\w{1,64}\|>"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What to send to the guard model: chat messages, or one raw prompt without any chat template (`raw` not None).

    `template_kwargs` go to the model's own chat template (`chat_template_kwargs` in vLLM). `add_special_tokens`: what
    to tell the tokenizer of a raw prompt.
    """

    messages: tuple[Message, ...] = ()
    raw: str | None = None
    template_kwargs: dict[str, str | bool | dict[str, str]] | None = None
    add_special_tokens: bool = True


def defuse(text: str, template: Template) -> str:
    """Judged text in which no marker and no heading of the template is left. Text without any is unchanged."""
    marker = re.compile("|".join((_SPECIAL, *map(re.escape, template.markers))), re.IGNORECASE)
    # Once more where two markers overlapped: a match hides one that starts inside it.
    while marker.search(text):
        text = marker.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    if template.headers:
        headers = "|".join(map(re.escape, template.headers))
        text = re.sub(rf"{_LINE_START}([^\S\n]*)({headers})", r"\1> \2", text, flags=re.IGNORECASE)
    return text


def render(family: Family, side: Side, conversation: Sequence[Message]) -> Rendered:
    """The prompt that asks `family` about the last turn of a conversation.

    Args:
        family: the guard model's family.
        side: `prompt` judges the last user turn, `answer` the last assistant turn in its context.
        conversation: turns in order. System turns are left out: no card's template has a place for them.

    Raises:
        ValueError: the family does not judge that side, or the last turn is not of that side.
    """
    if side not in family.judges:
        raise ValueError(f"{family.name} does not judge the {side}; it judges: {', '.join(family.judges)}")
    template = family.template
    judged = [turn for turn in conversation if turn.role != "system"]
    turns = _merged([Message(turn.role, defuse(turn.content, template)) for turn in judged])
    last = "user" if side == "prompt" else "assistant"
    if not turns or turns[-1].role != last:
        raise ValueError(f"to judge the {side} the conversation must end with a turn of the {last}")
    values = _values(template, side, turns)
    if side in template.raw:
        return Rendered(raw=_filled(template.raw[side], values), add_special_tokens=template.raw_adds_special_tokens)
    asked = [Message(part.role, _filled(part.content, values)) for part in template.messages.get(side, ())]
    return Rendered(
        messages=(*(turns if template.turns_first else ()), *asked), template_kwargs=template.kwargs.get(side)
    )


def _merged(turns: Sequence[Message]) -> list[Message]:
    """Neighbours of one role joined: several chat templates refuse two turns of one role in a row."""
    merged: list[Message] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Message(turn.role, f"{merged[-1].content}\n\n{turn.content}")
        else:
            merged.append(turn)
    return merged


def _values(template: Template, side: Side, turns: Sequence[Message]) -> dict[str, str]:
    """Placeholder -> text. `user` holds the last user turn; where earlier turns exist they precede it, named."""
    asked, answer = list(turns), template.no_answer
    if side == "answer":
        answer = asked.pop().content
    user = asked[0].content if len(asked) == 1 else _named(template, asked)
    return {
        "user": user,
        "answer": answer,
        "conversation": _named(template, turns),
        "policy": template.policy.get(side, ""),
        "side": template.side_names.get(side, side),
    }


def _named(template: Template, turns: Sequence[Message]) -> str:
    names: dict[str, str] = {str(role): name for role, name in template.turn_names.items()}
    return "\n\n".join(f"{names[turn.role]}: {turn.content}" for turn in turns)


def _filled(text: str, values: dict[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)
