"""What an endpoint scorer is made of: its statement, the backoff, the label's place, hostile answers."""

import asyncio
import json
import math
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from guards.config import EndpointConfig, InputClassifierConfig, open_resources
from guards.families import families, from_logprobs
from guards.loading import GuardConfigError
from guards.scorers.endpoint.address import is_loopback, is_plain
from guards.scorers.endpoint.answers import Token, chat, completion, moderation
from guards.scorers.endpoint.connection import EndpointError
from guards.scorers.endpoint.label import label_logprobs
from guards.scorers.endpoint.retry import Retry, retry_after_s
from profiler.cli import main
from profiler.errors import UserError
from profiler.scenario import load_scenario

ROOT = Path(__file__).parents[2]
LOOPBACK = "http://127.0.0.1:8000/v1"
KEY = "sk-very-secret-0123456789"


def write_scenario(tmp_path: Path, **said: Any) -> Path:
    loaded = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        loaded["prompts"][key] = str(ROOT / "scenarios" / loaded["prompts"][key])
    scorer = {"kind": "endpoint", "url": LOOPBACK, "model": "meta-llama/Llama-Guard-3-8B", **said}
    loaded["guards"] = {"mine": {"kind": "input-classifier", "scorer": scorer}}
    loaded.pop("arms", None)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(loaded))
    return path


SHOWN = "an address: write it like http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"url": "127.0.0.1:8000"}, f"url: not {SHOWN}"),
        ({"url": "ftp://127.0.0.1/v1"}, f"url: not {SHOWN}"),
        ({"url": "http://127.0.0.1:99999/v1"}, f"url: not {SHOWN}"),
        ({"url": "http:///v1"}, f"url: not {SHOWN}"),
        ({"url": "http://[::1/v1"}, f"url: not {SHOWN}"),
        ({"url": "http://127.0.0.1/v1\r\nX: y"}, f"url: not {SHOWN}"),
        ({"url": f"https://me:{KEY}@example.org/v1"}, "url: a user or password in it would be stored with the run"),
        ({"url": f"https://example.org/v1?key={KEY}"}, "url: leave out what follows the path"),
        (
            {"url": "http://example.org/v1"},
            "plain http shows prompts to the network: use https, or say `plain_http: true`",
        ),
        ({"url": "http://example.org/v1", "key_env": "K"}, "`key_env` over plain http would show the key"),
        ({"url": "http://example.org/v1", "key_env": "K", "plain_http": True}, "`key_env` over plain http would show"),
        ({"model": "my/own"}, "`my/own` is of no known family: name one with `family:`, such as llama-guard-3"),
        ({"family": "lama-guard"}, "no guard family 'lama-guard'; known: gpt-oss-safeguard, "),
        ({"family": "wildguard", "read": "logprob"}, "wildguard has no label position to score: use `read: text`"),
        ({"unsafe": ["hate"]}, "`unsafe` is for `api: moderation`: leave it out"),
        ({"api": "moderation", "family": "wildguard"}, "`family` and `read` are for `api: chat`: leave them out"),
        ({"api": "moderation", "read": "logprob"}, "`family` and `read` are for `api: chat`: leave them out"),
        ({"key": KEY}, "key: unknown key: remove it or check its spelling"),
        ({"retries": -1}, "retries: "),
        ({"connections": 0}, "connections: "),
    ],
)
def test_a_mistake_is_one_line_and_shows_no_key(tmp_path: Path, said: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(write_scenario(tmp_path, **said))
    shown = str(caught.value)
    assert line in shown and "guards.mine" in shown
    assert len(shown.splitlines()) == 1 and KEY not in shown


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"url": "http://localhost:8000/v1/", "key_env": "K"},
        {"url": "http://[::1]:8000/v1", "key_env": "K"},
        {"url": "https://api.example.org/v1", "key_env": "K", "api": "moderation", "model": "omni-moderation-latest"},
        {"url": "http://gpu-7:8000/v1", "plain_http": True},
        {"model": "mine", "family": "granite-guardian-4.1", "read": "logprob"},
    ],
)
def test_what_is_usable_is_read_and_can_be_stored(tmp_path: Path, said: dict[str, Any]) -> None:
    (guard,) = load_scenario(write_scenario(tmp_path, **said)).guards.values()
    assert isinstance(guard, InputClassifierConfig) and isinstance(guard.scorer, EndpointConfig)
    assert not guard.scorer.url.endswith("/")
    assert EndpointConfig.model_validate_json(guard.scorer.model_dump_json()) == guard.scorer


@pytest.mark.parametrize(("url", "loopback"), [("http://127.8.0.1/", True), ("http://localhost.example.org/", False)])
def test_loopback_is_told_by_the_whole_host(url: str, loopback: bool) -> None:
    assert (is_loopback(url), is_plain(url)) == (loopback, not loopback)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "the environment variable MY_KEY is not set"),
        ("", "the environment variable MY_KEY is not set"),
        (f"{KEY}\n", "MY_KEY holds a space, a line end or something outside ASCII"),
        (f"{KEY} ", "MY_KEY holds a space"),
        (f"{KEY}é", "MY_KEY holds a space"),
    ],
)
def test_a_key_that_is_missing_or_broken_is_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    scorer = {"kind": "endpoint", "url": LOOPBACK, "model": "llama-guard-3-8b", "key_env": "MY_KEY"}
    config = InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer})

    async def start() -> None:
        async with open_resources([config]):
            pass

    with pytest.raises(GuardConfigError) as caught:
        asyncio.run(start())
    shown = str(caught.value)
    assert said in shown and LOOPBACK in shown
    assert len(shown.splitlines()) == 1 and KEY not in shown


def test_a_missing_key_ends_the_command_before_the_engine_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm")
    monkeypatch.delenv("MY_KEY", raising=False)
    path = write_scenario(tmp_path, key_env="MY_KEY")
    assert main(["profile", "--scenario", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "starting vLLM" not in said.out
    assert said.err.splitlines()[-1].startswith(f"alignment-tax: endpoint {LOOPBACK}: key_env: the environment ")


@given(st.integers(1, 6), st.floats(0, 1000), st.floats(1, 5000), st.integers(0, 2**32))
def test_the_wait_is_full_jitter_below_a_ceiling_that_doubles(
    failures: int, backoff: float, most: float, seed: int
) -> None:
    retry = Retry(5, backoff, most, Random(seed))
    wait_s = retry.wait_s(failures)
    if failures > 5:
        assert wait_s is None
        return
    assert wait_s is not None
    assert 0 <= wait_s * 1e3 <= min(most, backoff * 2 ** (failures - 1)) * (1 + 1e-12)
    assert wait_s == Retry(5, backoff, most, Random(seed)).wait_s(failures)
    asked_for = Retry(5, backoff, most, Random(seed)).wait_s(failures, most / 1e3)
    assert asked_for == pytest.approx(wait_s + most / 1e3)
    assert retry.wait_s(failures, most / 1e3 * 1.01) is None


def test_the_jitter_fills_the_whole_range() -> None:
    retry = Retry(3, 100.0, 1e9, Random(3))
    waits = [retry.wait_s(3) or 0.0 for _ in range(500)]
    assert min(waits) < 0.01 and max(waits) > 0.39


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 0 ", 0.0),
        ("-3", None),
        ("soon", None),
        ("1.5", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value) == seconds


def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    then = format_datetime(now.replace(second=7), usegmt=True)
    assert retry_after_s(then, now.timestamp()) == 7.0
    assert retry_after_s(then, now.timestamp() + 60) == 0.0


@given(st.text())
def test_retry_after_survives_anything(value: str) -> None:
    found = retry_after_s(value)
    assert found is None or found >= 0


SCORED = [family for family in families().values() if family.reading.score_at is not None]


@pytest.mark.parametrize("family", SCORED, ids=lambda family: family.name)
@given(data=st.data())
def test_a_label_outside_the_list_moves_p_by_less_than_a_hundredth_or_is_an_error(
    family: Any, data: st.DataObject
) -> None:
    where = family.reading.score_at
    texts = [text for spellings in where.tokens.values() for text in spellings]
    vocabulary = [*texts, *(f"other{i}" for i in range(20))]
    weights = data.draw(st.lists(st.floats(1e-6, 1), min_size=len(vocabulary), max_size=len(vocabulary)))
    weights = [w ** data.draw(st.sampled_from([1, 4, 8])) for w in weights]
    full = {text: math.log(w / math.fsum(weights)) for text, w in zip(vocabulary, weights, strict=True)}
    likeliest = sorted(full, key=lambda text: -full[text])[: data.draw(st.integers(1, 20))]
    before = [Token(where.after, {})] if where.after else []
    try:
        found = label_logprobs([*before, Token(likeliest[0], {text: full[text] for text in likeliest})], where)
    except EndpointError:
        return
    p, truth = from_logprobs(family, found).p_unsafe, from_logprobs(family, full).p_unsafe
    assert p is not None and truth is not None and p == pytest.approx(truth, abs=0.0101)


def test_a_label_that_is_certain_need_not_have_the_other_in_the_list() -> None:
    family = families()["shieldgemma"]
    assert family.reading.score_at is not None
    listed = {"No": math.log(0.9999), "Maybe": math.log(0.00005)}
    p = from_logprobs(family, label_logprobs([Token("No", listed)], family.reading.score_at)).p_unsafe
    assert p == pytest.approx(0.00005, rel=0.01)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=40) | _JSON.map(lambda found: json.dumps(found).encode()))
def test_hostile_answers_are_errors_of_one_kind_that_quote_nothing(body: bytes) -> None:
    for read in (chat, completion, moderation):
        with pytest.raises(EndpointError) as caught:
            read(body)
        assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_not_quoted() -> None:
    secret = json.dumps({"choices": [{"message": {"content": {"SECRET": "SECRET"}}}], "SECRET": 1}).encode()
    for read in (chat, completion, moderation):
        with pytest.raises(EndpointError) as caught:
            read(secret)
        assert "SECRET" not in str(caught.value)
