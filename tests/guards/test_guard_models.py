"""Scorers on guard models, without an engine: statements, label tokens, prompts, and what is never read as safe."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from guards.config import InputClassifierConfig, open_resources
from guards.config.scorers import ScorerConfig
from guards.families import FamilyError, families, family_named, parse
from guards.families.label_tokens import label_tokens, with_labels
from guards.loading import GuardConfigError
from guards.scorers.asking import Asking
from guards.scorers.guard_model import Classes, GuardModelError, Times, TokenLogprobs, Written
from guards.scorers.vllm_head import ClassifierHead
from guards.scorers.vllm_judge import LabelJudge, TextJudge
from guards.subject import Message, Side, Subject
from guards.verdict import Status
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.vllm_guard import Worked, as_the_model_scales
from profiler.engines.vllm_tokenizer import VllmTokenizer

ALL = list(families())
SCORED = [name for name, family in families().items() if family.reading.score_at]
OWN_TEMPLATE = [name for name, family in families().items() if family.template.own_chat_template]
JUDGED = "How long does a kettle of tea keep?"
TIMES = Times(1, 2, 4, 3)


@pytest.fixture(scope="module")
def tokenizer() -> VllmTokenizer:
    """The embedded model's own."""
    transformers = pytest.importorskip("transformers")
    return VllmTokenizer(transformers.AutoTokenizer.from_pretrained(embedded_model_dir()))


@dataclass(frozen=True)
class Greedy:
    """A tokenizer of a few words: the longest piece first, single characters where none fits."""

    pieces: tuple[str, ...]

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        ids = []
        while text:
            piece = max((p for p in self.pieces if text.startswith(p)), key=len, default=text[0])
            ids.append(self.pieces.index(piece) if piece in self.pieces else 1000 + ord(piece))
            text = text[len(piece) :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.pieces[i] if i < 1000 else chr(i - 1000) for i in ids)

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
        return "".join(m.content for m in messages)


@dataclass(frozen=True)
class Scripted:
    """A model that writes what it is told to, with these log-probabilities, in a context of 64 tokens."""

    text: str = ""
    logprobs: tuple[float, ...] = ()
    context_tokens: int = 64
    cut: bool = False

    async def write(self, prompt: Sequence[int], max_tokens: int, sampling: Mapping[str, Any]) -> Written:
        return Written(self.text, TIMES, self.cut)

    async def next_token(self, prompt: Sequence[int], tokens: Sequence[int]) -> TokenLogprobs:
        return TokenLogprobs(dict(zip(tokens, self.logprobs, strict=False)), TIMES)


def conversation(side: Side, text: str = JUDGED) -> tuple[Message, ...]:
    turns = (Message("user", text),)
    return turns if side == "prompt" else (Message("user", "Tell me."), Message("assistant", text))


# --- label tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shieldgemma", "granite-guardian-3", "granite-guardian-3.3", "granite-guardian-4.1"])
def test_label_tokens_follow_what_is_written_before_them(name: str, tokenizer: VllmTokenizer) -> None:
    where = family_named(name).reading.score_at
    assert where is not None
    found = label_tokens(family_named(name), tokenizer)
    for token, text in found.texts.items():
        # The very ids that the model would have written.
        assert [*found.before, token] == tokenizer.encode(where.after + text)
    assert {text for texts in where.tokens.values() for text in texts} == set(found.texts.values())


@pytest.mark.parametrize(
    ("name", "label"), [("llama-guard-3", "unsafe"), ("llama-guard-4", "unsafe"), ("qwen3guard-gen", "Unsafe")]
)
def test_a_label_that_is_not_one_token_is_named_with_its_family(
    name: str, label: str, tokenizer: VllmTokenizer
) -> None:
    with pytest.raises(FamilyError) as caught:
        label_tokens(family_named(name), tokenizer)
    assert f"family {name}: label {label}: none of ['" in str(caught.value)


def test_after_and_label_are_cut_as_one_text() -> None:
    # As in the embedded model: two newlines are one token at the end of a text, two before a word.
    guard = family_named("llama-guard-3")
    split = Greedy(("\n", "safe", "unsafe"))
    assert label_tokens(guard, split).before == (0, 0)
    joined = Greedy(("\n\n", "safe", "unsafe", "\n"))
    assert label_tokens(guard, joined) == label_tokens(guard, joined)
    assert label_tokens(guard, joined).before == (0,)


def test_a_label_that_melts_into_what_precedes_it_is_refused() -> None:
    with pytest.raises(FamilyError, match="label unsafe"):
        label_tokens(family_named("llama-guard-3"), Greedy(("\n", "safe", "unsafe", "\nunsafe")))


def test_the_beginning_of_a_label_counts_only_where_the_label_is_cut_there() -> None:
    qwen = family_named("qwen3guard-gen")
    pieces = ("Safety", ":", " Safe", " Unsafe", " Cont", "roversial")
    assert set(label_tokens(qwen, Greedy(pieces)).texts.values()) == {" Safe", " Unsafe", " Cont"}
    with pytest.raises(FamilyError, match="label Controversial"):
        label_tokens(qwen, Greedy((*pieces, " Controvers", "ial")))


def test_another_spelling_stands_in_for_one_that_is_not_a_token() -> None:
    granite = Greedy(("<score>", " yes", "no"))
    assert set(label_tokens(family_named("granite-guardian-3.3"), granite).texts.values()) == {" yes", "no"}


def test_stated_labels_take_the_place_of_the_familys(tokenizer: VllmTokenizer) -> None:
    ours = with_labels(family_named("wildguard"), "no", "yes")
    found = label_tokens(ours, tokenizer)
    assert list(found.texts.values()) == ["no", "yes"]
    judge = LabelJudge(
        Scripted(logprobs=(np.log(0.3), np.log(0.1)), context_tokens=999), Asking(ours, tokenizer, found)
    )
    score = asyncio.run(judge.score(Subject(JUDGED, "prompt", conversation("prompt"))))
    assert score.p_unsafe == pytest.approx(0.25)


# --- prompts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["prompt", "answer"])
@pytest.mark.parametrize("name", ALL)
def test_every_family_is_asked_through_a_real_tokenizer(name: str, side: Side, tokenizer: VllmTokenizer) -> None:
    asking = Asking(family_named(name), tokenizer)
    asking.check()
    text = tokenizer.decode(asking.prompt(Subject(JUDGED, side, conversation(side)), 10_000))
    assert JUDGED in text
    # An own chat template ends where the assistant's answer begins; a raw prompt has none of it.
    assert text.endswith("<|im_start|>assistant\n") == (name in OWN_TEMPLATE)


def test_what_precedes_the_label_ends_the_prompt(tokenizer: VllmTokenizer) -> None:
    family = family_named("granite-guardian-3.3")
    asking = Asking(family, tokenizer, label_tokens(family, tokenizer))
    tokens = asking.prompt(Subject(JUDGED, "prompt", conversation("prompt")), 10_000)
    assert tokenizer.decode(tokens).endswith("<|im_start|>assistant\n<score>")


def test_a_text_without_a_conversation_is_its_only_turn(tokenizer: VllmTokenizer) -> None:
    asking = Asking(family_named("llama-guard-3"), tokenizer)
    assert JUDGED in tokenizer.decode(asking.prompt(Subject(JUDGED), 10_000))


def test_a_prompt_that_does_not_fit_is_no_verdict(tokenizer: VllmTokenizer) -> None:
    asking = Asking(family_named("llama-guard-3"), tokenizer)
    subject = Subject(JUDGED, "prompt", conversation("prompt"))
    length = len(asking.prompt(subject, 10_000))
    assert asking.prompt(subject, length)
    with pytest.raises(GuardModelError, match=f"{length} tokens, {length - 1} fit"):
        asking.prompt(subject, length - 1)


def templated(template: str | None) -> VllmTokenizer:
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoTokenizer.from_pretrained(embedded_model_dir())
    loaded.chat_template = template
    return VllmTokenizer(loaded)


def test_a_template_that_takes_parts_is_given_parts() -> None:
    part = "{% if c.type == 'text' %}{{ c.text }}{% endif %}"
    parts = "{% for m in messages %}{% for c in m.content %}" + part + "{% endfor %}{% endfor %}"
    asking = Asking(family_named("llama-guard-3"), templated(parts))
    asking.check()
    assert JUDGED in asking.tokenizer.decode(asking.prompt(Subject(JUDGED), 10_000))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("You are a guard.", "leaves the judged prompt out"),
        (None, "chat template"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    ],
)
def test_a_template_that_cannot_ask_is_told_at_the_start(template: str | None, said: str) -> None:
    with pytest.raises(FamilyError, match="family llama-guard-3: ") as caught:
        Asking(family_named("llama-guard-3"), templated(template)).check()
    assert said in str(caught.value)


# --- verdicts ------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(ALL), st.text(max_size=60) | st.sampled_from(["safe", "No", "unsafe\nS1", "<score> no </score>"])
)
def test_a_written_text_is_scored_as_it_parses_or_not_at_all(name: str, text: str) -> None:
    family = family_named(name)
    judge = TextJudge(Scripted(text, context_tokens=100_000), Asking(family, Greedy(())), 16)
    subject = Subject("Hello?", "prompt", (Message("user", "Hello?"),))
    wanted = parse(family, text, "prompt")
    if wanted.status is Status.ERROR:
        with pytest.raises(GuardModelError):
            asyncio.run(judge.score(subject))
        return
    score = asyncio.run(judge.score(subject))
    assert (score.p_unsafe, score.categories) == (wanted.p_unsafe, wanted.categories)
    assert (score.queued_ns, score.started_ns, score.first_ns, score.ended_ns) == (1, 2, 3, 4)


def test_a_verdict_cut_short_by_the_statement_is_none() -> None:
    guard = Asking(family_named("llama-guard-3"), Greedy(()))
    with pytest.raises(GuardModelError, match="cut at 1 tokens"):
        asyncio.run(TextJudge(Scripted("safe", cut=True), guard, 1).score(Subject("Hello?")))
    # One token is all that ShieldGemma ever writes of it.
    gemma = TextJudge(
        Scripted("No", cut=True, context_tokens=99_999), Asking(family_named("shieldgemma"), Greedy(())), 1
    )
    assert asyncio.run(gemma.score(Subject("Hello?"))).p_unsafe == 0.0


@pytest.mark.parametrize("logprobs", [(), (-1.0,), (float("nan"), -1.0), (-float("inf"), -float("inf"))])
def test_label_tokens_without_a_probability_are_no_verdict(logprobs: tuple[float, ...]) -> None:
    guard, words = family_named("llama-guard-3"), Greedy(("\n", "safe", "unsafe"))
    judge = LabelJudge(Scripted(logprobs=logprobs), Asking(guard, words, label_tokens(guard, words)))
    with pytest.raises(GuardModelError):
        asyncio.run(judge.score(Subject("Hello?")))


@dataclass(frozen=True)
class Sure:
    """A classifier that always says the same."""

    probabilities: tuple[float, ...]
    exclusive: bool = True
    labels: tuple[str, ...] = ("FINE", "RUDE", "CRUEL")
    context_tokens: int = 8

    async def classify(self, prompt: Sequence[int]) -> Classes:
        return Classes(self.probabilities, TIMES)


@pytest.mark.parametrize(("exclusive", "p"), [(True, 0.9), (False, 0.6)])
def test_unsafe_labels_add_up_where_they_exclude_each_other(exclusive: bool, p: float) -> None:
    head = ClassifierHead(Sure((0.1, 0.3, 0.6), exclusive), Greedy(()), frozenset({"RUDE", "CRUEL"}))
    score = asyncio.run(head.score(Subject("Hey!")))
    assert score.p_unsafe == pytest.approx(p)
    assert score.categories == ("CRUEL",)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_classifier_that_gives_no_number_gives_no_verdict(exclusive: bool) -> None:
    head = ClassifierHead(Sure((0.1, 0.3, float("nan")), exclusive), Greedy(()), frozenset({"RUDE", "CRUEL"}))
    with pytest.raises(GuardModelError):
        asyncio.run(head.score(Subject("Hey!")))


def test_a_classifier_does_not_cut_its_text() -> None:
    head = ClassifierHead(Sure((0.1, 0.3, 0.6)), Greedy(()), frozenset({"RUDE"}))
    with pytest.raises(GuardModelError, match="9 tokens, 8 fit"):
        asyncio.run(head.score(Subject("123456789")))


# --- the engine's side ---------------------------------------------------------------------------------------------


def test_logits_are_scaled_as_each_model_scales_them() -> None:
    logits = np.array([30.0, -10.0])
    plain = as_the_model_scales(logits, SimpleNamespace(model_type="llama"))
    gemma = as_the_model_scales(logits, SimpleNamespace(model_type="gemma2", final_logit_softcapping=30.0))
    granite = as_the_model_scales(logits, SimpleNamespace(model_type="granite", logits_scaling=8.0))
    cohere = as_the_model_scales(logits, SimpleNamespace(model_type="cohere", logit_scale=0.5))
    np.testing.assert_allclose(plain, [30.0, -10.0])
    np.testing.assert_allclose(gemma, [30 * np.tanh(1.0), 30 * np.tanh(-1 / 3)])
    np.testing.assert_allclose(granite, [3.75, -1.25])
    np.testing.assert_allclose(cohere, [15.0, -5.0])


def test_statistics_of_requests_that_nobody_asks_for_do_not_pile_up() -> None:
    worked = Worked()
    for number in range(10_000):
        done = SimpleNamespace(request_id=f"r{number}", finish_reason="stop", inference_time=0.5)
        worked.add(SimpleNamespace(finished_requests=[done]))
    worked.add(None)
    assert (worked.pop("r9999"), worked.pop("r9999"), worked.pop("r0")) == (500_000_000, None, None)
    assert len(worked._ns) < 5000


# --- statements ----------------------------------------------------------------------------------------------------

JUDGE = {"kind": "vllm-judge", "model": "meta-llama/Llama-Guard-3-1B"}
HEAD = {"kind": "vllm-head", "model": "google/shieldgemma-2b"}


def test_the_family_is_told_by_the_models_name() -> None:
    stated: Any = TypeAdapter(ScorerConfig).validate_python(JUDGE)
    assert stated.found_family().name == "llama-guard-3"
    head: Any = TypeAdapter(ScorerConfig).validate_python({**HEAD, "labels": ["Nein", "Ja"]})
    assert head.found_family().reading.score_at.tokens == {"Nein": ("Nein",), "Ja": ("Ja",)}


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({**JUDGE, "model": "embedded"}, "state `family:`"),
        ({**JUDGE, "family": "llama-gard"}, "no guard family 'llama-gard'; known: "),
        ({**JUDGE, "family": "wildguard", "read": "logprob"}, "no label token to score; these have: granite"),
        ({**JUDGE, "read": "logprob", "max_tokens": 3}, "`max_tokens` are for `read: text`"),
        ({**JUDGE, "model": "served", "family": "shieldgemma", "engine": {"seed": 1}}, "stand under `engine:`"),
        ({**HEAD, "model": "served", "family": "shieldgemma"}, "use vllm-judge with `read: logprob`"),
        ({**HEAD, "family": "wildguard"}, "no label token to score"),
        ({**HEAD, "labels": ["No", "No"]}, "must differ"),
        ({**HEAD, "unsafe": ["BAD"]}, "add `pooling: true`"),
        ({**HEAD, "pooling": True}, "needs `unsafe:"),
        ({**HEAD, "pooling": True, "unsafe": ["BAD"], "family": "shieldgemma"}, "leave `family` and `labels` out"),
    ],
)
def test_a_mistaken_statement_names_the_cure(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ScorerConfig).validate_python(stated)
    assert said in str(caught.value)


def test_without_an_engine_to_open_it_a_guard_model_is_refused() -> None:
    async def open_it() -> None:
        async with open_resources([InputClassifierConfig(kind="input-classifier", scorer=JUDGE)]):  # type: ignore[arg-type]
            pass

    with pytest.raises(GuardConfigError, match="vllm-judge: needs vLLM"):
        asyncio.run(open_it())
