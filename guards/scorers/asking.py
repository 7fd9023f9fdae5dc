"""From a subject to the tokens that a guard model is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from guards.families import Family, FamilyError, Rendered, render
from guards.families.label_tokens import NO_LABELS, LabelTokens
from guards.scorers.guard_model import GuardModelError, Tokenizer
from guards.subject import Message, Subject

_PROBE = "a kettle of green tea"


@dataclass(frozen=True)
class Asking:
    """A family's template in one model's tokens; where labels are scored, what precedes one ends the prompt."""

    family: Family
    tokenizer: Tokenizer
    labels: LabelTokens = NO_LABELS

    def prompt(self, subject: Subject, room: int) -> list[int]:
        """Token ids that ask about the subject's last turn.

        Nothing is ever cut to make them fit: a verdict about a part of a conversation is none about the whole, and
        the part left out would be the attacker's to choose.

        Raises:
            GuardModelError: they are more than `room`.
            ValueError: the family does not judge that side, or the template refuses the turns.
        """
        tokens = self._tokens(render(self.family, subject.side, _turns(subject)))
        tokens += self.labels.before
        if len(tokens) > room:
            raise GuardModelError(
                f"too long for the guard model: {len(tokens)} tokens, {max(room, 0)} fit (max_model_len)"
            )
        return tokens

    def check(self) -> None:
        """See that the judged text gets through the model's chat template at all.

        Raises:
            FamilyError: it does not, or the template refuses the messages.
        """
        user, answer = Message("user", "Hello?"), Message("assistant", _PROBE)
        for side in self.family.judges:
            turns = (Message("user", _PROBE),) if side == "prompt" else (user, answer)
            try:
                shown = self._text(render(self.family, side, turns))
            except ValueError as error:
                raise FamilyError(f"family {self.family.name}: {' '.join(str(error).split())}") from error
            if _PROBE not in shown:
                raise FamilyError(f"family {self.family.name}: the model's chat template leaves the judged {side} out")

    def _tokens(self, asked: Rendered) -> list[int]:
        return self.tokenizer.encode(
            self._text(asked),
            # A chat template has already written the special tokens.
            add_special_tokens=asked.raw is not None and asked.add_special_tokens,
        )

    def _text(self, asked: Rendered) -> str:
        if asked.raw is not None:
            return asked.raw
        return self.tokenizer.chat(asked.messages, asked.template_kwargs or {})


def _turns(subject: Subject) -> Sequence[Message]:
    """The conversation; where there is none, the text as its only turn."""
    role: Literal["user", "assistant"] = "user" if subject.side == "prompt" else "assistant"
    return subject.conversation or (Message(role, subject.text),)
