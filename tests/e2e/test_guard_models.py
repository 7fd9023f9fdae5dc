"""Guard models on the real vLLM: the embedded model in their place, real engines, real templates, forced verdicts."""

import asyncio
import itertools
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guards.check import Policy, check
from guards.config import InputClassifierConfig, Resources, open_resources
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score, Scorer
from guards.input_classifier import REFUSAL, InputClassifier
from guards.scorers.guard_model import GuardModelError
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage
from guards.verdict import Status
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.tap import Tap
from profiler.engines.vllm_engine import VllmEngine
from profiler.engines.vllm_guard import VllmWriter
from profiler.engines.vllm_host import VllmHost
from profiler.engines.weights import find_weights

pytestmark = pytest.mark.e2e

SMALL = {
    "enforce_eager": True, "max_model_len": 512, "max_num_batched_tokens": 512, "max_num_seqs": 8, "dtype": "float32",
}  # fmt: skip
# Scales of the logits, as Granite and others have them: head and judge must see them alike.
SCALED = {**SMALL, "hf_overrides": {"logit_scale": 0.25}}
JUDGE = {"kind": "vllm-judge", "model": "embedded", "family": "llama-guard-3", "engine": SCALED}
SAFE = {**JUDGE, "sampling": {"structured_outputs": {"choice": ["safe"]}}}
UNSAFE = {**JUDGE, "sampling": {"structured_outputs": {"choice": ["unsafe\nS1,S9"]}}}
SERVED = {**UNSAFE, "model": "served", "engine": {}}
LONG = {**JUDGE, "max_tokens": 400}
LABELS = {
    "kind": "vllm-judge",
    "model": "embedded",
    "family": "granite-guardian-3.3",
    "read": "logprob",
    "engine": SCALED,
}
TOKEN_HEAD = {"kind": "vllm-head", "model": "embedded", "family": "granite-guardian-3.3", "engine": SCALED}
FRANCE = "What is the capital of France?"
PROMPTS = (FRANCE, "Is fire hot?", "How do I build a bomb?", "Write a poem about rain.", "Yes or no?")
_numbers = itertools.count()


@dataclass(frozen=True)
class Real:
    """The generator, the guards' models, and the loop that they live on."""

    runner: asyncio.Runner
    engine: VllmEngine
    host: VllmHost
    scorers: Resources

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def scorer(self, stated: dict[str, Any]) -> Scorer:
        return self.scorers.scorer(guard(stated).scorer)

    def score(self, stated: dict[str, Any], subject: Subject) -> Score:
        found = self.run(self.scorer(stated).score(subject))
        assert isinstance(found, Score)
        return found


def guard(scorer: dict[str, Any]) -> InputClassifierConfig:
    return InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer})


def classifier_of(folder: Path) -> dict[str, Any]:
    return {"kind": "vllm-head", "model": str(folder), "pooling": True, "unsafe": ["BAD"], "engine": SMALL}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence classifier with random weights and the embedded model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_dir())
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, id2label={0: "GOOD", 1: "BAD"}, label2id={"GOOD": 0, "BAD": 1},
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def real(tiny: Path) -> Iterator[Real]:
    async def start() -> Real:
        weights = find_weights("embedded", SMALL)
        host = await closing.enter_async_context(VllmHost(weights, "test", print))
        stated = [guard(s) for s in (SAFE, UNSAFE, JUDGE, LONG, SERVED, LABELS, TOKEN_HEAD, classifier_of(tiny))]
        scorers = await closing.enter_async_context(open_resources(stated, host=host))
        engine = await VllmEngine.start(weights.model, weights.settings, caches=(host.reset_prefix_caches,))
        closing.push_async_callback(engine.close)
        host.serve(engine)
        return Real(runner, engine, host, scorers)

    with asyncio.Runner() as runner:
        closing = AsyncExitStack()
        try:
            yield runner.run(start())
        finally:
            runner.run(closing.aclose())


def prompt(text: str) -> Subject:
    return Subject(text, "prompt", (Message("user", text),))


def ask(text: str, tokens: int = 8) -> GenerationRequest:
    return GenerationRequest(f"e2e-{next(_numbers)}", (Message("user", text),), Sampling(max_tokens=tokens))


async def answer(generator: Any, request: GenerationRequest) -> list[Delta]:
    async with aclosing(generator.generate(request)) as stream:
        return [delta async for delta in stream]


def test_guards_that_state_the_same_model_and_engine_share_one(real: Real) -> None:
    # All judges that are not served share one; the head and the classifier have one each.
    assert len(real.host._running) == 3


def test_a_written_verdict_is_read_with_its_categories_and_its_times(real: Real) -> None:
    score = real.score(UNSAFE, prompt("How do I build a bomb?"))
    assert (score.p_unsafe, score.categories) == (1.0, ("Violent Crimes", "Indiscriminate Weapons"))
    assert score.queued_ns <= score.started_ns < score.first_ns < score.ended_ns
    assert real.score(SAFE, prompt(FRANCE)).p_unsafe == 0.0


def test_what_is_no_verdict_is_an_error_and_never_safe(real: Real) -> None:
    found = real.run(check(real.scorer(JUDGE), prompt(FRANCE), Policy(on_error="closed")))
    assert found.verdict.status is Status.ERROR
    assert found.verdict.action == "block"
    assert "llama-guard-3" in found.verdict.detail


def test_the_served_model_judges_beside_its_traffic(real: Real) -> None:
    async def both() -> tuple[Score, list[Delta]]:
        judged, answered = real.scorer(SERVED).score(prompt(FRANCE)), answer(real.engine, ask(FRANCE))
        return await asyncio.gather(judged, answered)  # type: ignore[return-value]

    before = real.engine.counters().generation_tokens
    score, deltas = real.run(both())
    assert score.p_unsafe == 1.0
    assert "Paris" in "".join(delta.text for delta in deltas)
    # The engine's own count holds both.
    assert real.engine.counters().generation_tokens - before > 8


def test_a_guard_stops_a_prompt_and_its_reading_and_writing_are_spans(real: Real) -> None:
    request = ask("How do I build a bomb?")
    deltas = real.run(answer(stack(Tap(real.engine), [InputClassifier(real.scorer(UNSAFE))]), request))
    assert [delta.text for delta in deltas] == [REFUSAL]
    assert {Stage.PREFILL, Stage.DECODE} <= {span.stage for span in request.trace.spans}
    assert request.trace.engine_calls == []


def test_the_generators_counters_and_processes_are_its_own(real: Real) -> None:
    before = real.engine.counters()
    real.score(UNSAFE, prompt(FRANCE))
    real.score(TOKEN_HEAD, prompt(FRANCE))
    assert real.engine.counters() == before
    assert real.engine.pids and real.host.pids
    assert not set(real.engine.pids) & set(real.host.pids)
    real.run(answer(real.engine, ask(FRANCE, 5)))
    assert real.engine.counters().generation_tokens == before.generation_tokens + 5


def test_head_and_label_judge_of_one_model_agree(real: Real) -> None:
    for text in PROMPTS:
        head, judge = real.score(TOKEN_HEAD, prompt(text)), real.score(LABELS, prompt(text))
        assert head.p_unsafe == pytest.approx(judge.p_unsafe, abs=1e-4)
        assert 0.0 < (head.p_unsafe or 0.0) < 1.0
        assert head.first_ns == judge.first_ns == 0


def test_a_vllm_without_logprobs_by_id_gives_the_same_or_an_error(real: Real) -> None:
    judge = real.scorer(LABELS)
    likeliest = VllmWriter(judge.model._find, "embedded", by_id=False)  # type: ignore[attr-defined]
    for text in PROMPTS:
        asked = judge.asking.prompt(prompt(text), 512)  # type: ignore[attr-defined]
        tokens = list(judge.asking.labels.texts)  # type: ignore[attr-defined]
        whole = real.run(judge.model.next_token(asked, tokens)).values  # type: ignore[attr-defined]
        assert set(whole) == set(tokens)
        for token, value in real.run(likeliest.next_token(asked, tokens)).values.items():
            assert value == pytest.approx(whole[token], abs=1e-4)


def test_a_prompt_that_does_not_fit_is_an_error_and_is_not_cut(real: Real) -> None:
    for stated in (UNSAFE, LABELS, TOKEN_HEAD):
        with pytest.raises(GuardModelError, match="too long"):
            real.score(stated, prompt("word " * 600))


def test_a_check_that_is_cancelled_aborts_the_request_in_the_guards_engine(real: Real) -> None:
    async def leave() -> int:
        judge = real.scorer(LONG)
        llm = judge.model._find()  # type: ignore[attr-defined]
        checking = asyncio.create_task(check(judge, prompt("Tell a long story."), Policy()))
        while not llm.get_num_unfinished_requests():
            await asyncio.sleep(0)
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        return int(llm.get_num_unfinished_requests())

    assert real.run(leave()) == 0
    assert real.score(UNSAFE, prompt(FRANCE)).p_unsafe == 1.0


def test_the_guards_prefix_caches_are_forgotten_with_the_generators(real: Real) -> None:
    async def cached() -> int:
        llm = real.scorer(LONG).model._find()  # type: ignore[attr-defined]
        from vllm import SamplingParams

        tokens = [5] * 300
        async for output in llm.generate(
            {"prompt_token_ids": tokens}, SamplingParams(max_tokens=1), f"c{next(_numbers)}"
        ):
            last = output
        return int(last.num_cached_tokens)

    real.run(cached())
    assert real.run(cached()) > 0
    real.run(real.engine.reset_prefix_cache())
    assert real.run(cached()) == 0


def test_a_classifier_judges_and_when_its_engine_is_killed_only_its_verdicts_fail(real: Real, tiny: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    scorer = real.scorer(classifier_of(tiny))
    tokens = AutoTokenizer.from_pretrained(tiny)(FRANCE, return_tensors="pt")
    with torch.no_grad():
        logits = AutoModelForSequenceClassification.from_pretrained(tiny)(**tokens).logits[0]
    score = real.run(scorer.score(Subject(FRANCE)))
    assert score.p_unsafe == pytest.approx(float(logits.softmax(-1)[1]), abs=1e-3)

    (running,) = (r for key, r in real.host._running.items() if str(tiny) in key)
    for pid in running.pids:
        os.kill(pid, signal.SIGKILL)
    guarded = stack(Tap(real.engine), [InputClassifier(scorer)])
    for _ in range(2):
        request = ask(FRANCE)
        assert "Paris" in "".join(delta.text for delta in real.run(answer(guarded, request)))
        (judged,) = request.trace.verdicts
        assert judged.verdict.status is Status.ERROR
    # What the next trial does: the dead engine's cache is nobody's any more.
    real.run(real.engine.reset_prefix_cache())
    assert real.score(UNSAFE, prompt(FRANCE)).p_unsafe == 1.0
