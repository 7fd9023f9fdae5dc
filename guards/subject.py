"""What is judged: a prompt, or (a window of) an answer, with the conversation that it belongs to."""

from dataclasses import dataclass
from typing import Literal

Side = Literal["prompt", "answer"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a scorer is asked about.

    `text` is what scorers of plain text read: of a prompt every user turn, of an answer the part that is judged.
    `conversation` is the whole of it, the judged turn last, for scorers that know of turns; empty where there is none.
    """

    text: str
    side: Side = "prompt"
    conversation: tuple[Message, ...] = ()

    @property
    def turns(self) -> tuple[Message, ...]:
        """The conversation; where there is none, the text as its only turn."""
        role: Literal["user", "assistant"] = "user" if self.side == "prompt" else "assistant"
        return self.conversation or (Message(role, self.text),)
