"""A model's tokenizer as vLLM loads it, with its chat template."""

from collections.abc import Mapping, Sequence
from typing import Any

from guards.subject import Message
from profiler.engines.vllm_llm import one_line
from profiler.engines.weights import Weights
from profiler.errors import UserError

# Engine arguments that speak of it.
_SETTINGS = ("tokenizer", "tokenizer_mode", "tokenizer_revision", "revision", "trust_remote_code")


class VllmTokenizer:
    """What scorers need of a tokenizer (`guards.scorers.guard_model.Tokenizer`).

    It is asked on the event loop, as the generator's own is: a fraction of a millisecond for a thousand tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Wrap vLLM's."""
        self._tokenizer = tokenizer
        self._in_parts: bool | None = None

    @classmethod
    def load(cls, weights: Weights, where: str) -> "VllmTokenizer":
        """The tokenizer of a model folder or hub id, with the engine arguments that speak of it.

        Raises:
            UserError: there is none, or it cannot be loaded.
        """
        from vllm.tokenizers import get_tokenizer

        given = {name: weights.settings[name] for name in _SETTINGS if weights.settings.get(name) is not None}
        name = given.pop("tokenizer", weights.model)
        if (revision := given.pop("tokenizer_revision", None)) is not None:
            given["revision"] = revision
        try:
            return cls(get_tokenizer(name, **given))
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise UserError(f"{where}: no tokenizer: {one_line(error)}") from error

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Token ids of a text."""
        return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=add_special_tokens)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self._tokenizer.decode(list(ids)))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The vocabulary's own spelling of token ids."""
        return [str(piece) for piece in self._tokenizer.convert_ids_to_tokens(list(ids))]

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
        """Messages in the model's chat template, up to the assistant's answer.

        Some templates (Llama Guard 3 1B) take a message's content as a list of parts, and show nothing of a plain
        one; which it is, is tried out once.

        Raises:
            ValueError: there is no chat template, or it refuses the messages.
        """
        if self._in_parts is None:
            self._in_parts = self._takes_parts(messages, options)
        return self._apply(messages, options, in_parts=self._in_parts)

    def _takes_parts(self, messages: Sequence[Message], options: Mapping[str, Any]) -> bool:
        shown = max((m.content for m in messages), key=len, default="").strip()
        try:
            if shown in self._apply(messages, options, in_parts=False):
                return False
        except ValueError:
            pass  # it may still take parts; if not, its refusal of those is told
        return shown in self._apply(messages, options, in_parts=True)

    def _apply(self, messages: Sequence[Message], options: Mapping[str, Any], *, in_parts: bool) -> str:
        from jinja2 import TemplateError

        turns = [{"role": m.role, "content": _content(m.content, in_parts)} for m in messages]
        asked = {**options, "add_generation_prompt": True, "tokenize": False}
        try:
            return str(self._tokenizer.apply_chat_template(turns, **asked))
        except (TemplateError, TypeError) as error:
            raise ValueError(f"the model's chat template refuses the messages: {one_line(error)}") from error


def _content(text: str, in_parts: bool) -> str | list[dict[str, str]]:
    return [{"type": "text", "text": text}] if in_parts else text
