"""One prompt: a single turn, or the last user turn of a conversation."""

import re
from dataclasses import dataclass

from guards.subject import Message

LABELS = ("benign", "borderline", "harmful")
HARMLESS = ("benign", "borderline")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of a prompt file. `prompt` is the last user turn, `before` the turns that came before it."""

    id: str
    category: str
    label: str
    prompt: str
    before: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation, the user's last turn at its end."""
        return (*self.before, Message("user", self.prompt))


def normalised(prompt: Prompt) -> str:
    """Equal for prompts that differ in case, spacing and punctuation only."""
    text = "\n".join(message.content for message in prompt.messages)
    return re.sub(r"\W+", " ", text.casefold()).strip() or text
