"""Endpoint scorer: a guard model of a known family behind an OpenAI-compatible API."""

from dataclasses import dataclass
from typing import Any, Literal

from guards.families import Family, Rendered, from_logprobs, parse, render
from guards.guard import Score
from guards.scorers.endpoint.answers import Said, chat, completion
from guards.scorers.endpoint.connection import Connection, EndpointError
from guards.scorers.endpoint.label import label_logprobs
from guards.subject import Side, Subject
from guards.verdict import Status, Verdict

TOP_LOGPROBS = 20
"""The most that OpenAI's chat API, and vLLM unless told otherwise, will list."""


@dataclass(frozen=True)
class ChatScorer:
    """Asks `model` with its family's template; p(unsafe) from the text that it writes, or from its label's token.

    Families that bring a chat template of their own are asked through `/chat/completions`, those that are a raw
    prompt through `/completions`. Reading the label needs a server that lists log-probabilities; the model writes
    what comes before the label itself, since only an engine can put it in its mouth.
    """

    connection: Connection
    model: str
    family: Family
    read: Literal["text", "logprob"] = "text"

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's last turn in its conversation.

        Raises:
            EndpointError: no answer, or one that does not match the family's form.
            TimeoutError: no answer in time.
            ValueError: the family does not judge that side.
        """
        queued_ns = self.connection.now_ns()
        path, body = self._question(render(self.family, subject.side, subject.turns))
        answer = await self.connection.post(path, body)
        said = chat(answer.body) if "messages" in body else completion(answer.body)
        verdict = self._verdict(said, subject.side)
        if verdict.status is not Status.OK:
            raise EndpointError(verdict.detail)
        return Score(
            verdict.p_unsafe, queued_ns, answer.started_ns, answer.ended_ns, verdict.p_refusal, verdict.categories
        )

    def _question(self, prompt: Rendered) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {"model": self.model, "temperature": 0, "max_tokens": self._max_tokens()}
        labels = self.read == "logprob"
        if prompt.raw is not None:
            body |= {"prompt": prompt.raw, "add_special_tokens": prompt.add_special_tokens}
            return "/completions", body | ({"logprobs": TOP_LOGPROBS} if labels else {})
        body["messages"] = [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
        if prompt.template_kwargs is not None:
            body["chat_template_kwargs"] = prompt.template_kwargs
        return "/chat/completions", body | ({"logprobs": True, "top_logprobs": TOP_LOGPROBS} if labels else {})

    def _max_tokens(self) -> int:
        where, most = self.family.reading.score_at, self.family.max_new_tokens
        # A token is a character or more.
        return most if self.read == "text" or where is None else min(most, len(where.after) + 1)

    def _verdict(self, said: Said, side: Side) -> Verdict:
        where = self.family.reading.score_at
        if self.read == "text" or where is None:
            return parse(self.family, said.text, side)
        return from_logprobs(self.family, label_logprobs(said.tokens, where))
