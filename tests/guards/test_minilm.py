"""The sentence embedding: the same numbers as the reference model, whatever it is batched with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertModel

from guards.assets import AssetError, package_file
from guards.scorers.minilm import DIMENSIONS, PACKAGE, TOKENIZER, WEIGHTS, MiniLm, segments

TEXTS = (
    "Hello",
    "How do I kill a Python process?",
    "A man is playing a guitar in the park. " * 60,
    "",
    "été 😀",
)


@pytest.fixture(scope="module")
def encoder() -> MiniLm:
    return MiniLm.load()


def reference(encoder: MiniLm, texts: tuple[str, ...]) -> np.ndarray:
    folder = package_file(PACKAGE, *WEIGHTS).parent
    model = BertModel.from_pretrained(folder).eval()  # type: ignore[no-untyped-call,unused-ignore]
    with torch.inference_mode():
        ids = (torch.tensor([encoder.tokenizer.encode(text).ids]) for text in texts)
        pooled = torch.cat([model(input_ids=row).last_hidden_state.mean(dim=1) for row in ids])
    return np.asarray(torch.nn.functional.normalize(pooled))


def test_embeds_as_the_reference_model_does(encoder: MiniLm) -> None:
    found = encoder.embed(TEXTS)
    assert found.shape == (len(TEXTS), DIMENSIONS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(encoder, TEXTS), atol=1e-4)


def test_a_text_embeds_the_same_alone_and_in_any_batch(encoder: MiniLm) -> None:
    many = [f"{text} {number}" for number in range(12) for text in ("", "Hello", "A longer one, of a few words")]
    alone = np.concatenate([encoder.embed([text]) for text in many])
    np.testing.assert_allclose(encoder.embed(many), alone, atol=1e-5)


def test_vectors_are_of_unit_length_and_no_texts_give_no_vectors(encoder: MiniLm) -> None:
    np.testing.assert_allclose(np.linalg.norm(encoder.embed(TEXTS), axis=1), 1.0, atol=1e-5)
    assert encoder.embed([]).shape == (0, DIMENSIONS)


def test_near_meanings_are_nearer_than_far_ones(encoder: MiniLm) -> None:
    cat, kitten, tax = encoder.embed(["The cat sleeps.", "A kitten is asleep.", "Income tax is due in April."])
    assert cat @ kitten > cat @ tax + 0.3


@pytest.mark.parametrize("asset", [WEIGHTS, TOKENIZER])
def test_another_file_than_the_pinned_one_is_refused_with_both_hashes(asset: tuple[str, str]) -> None:
    name, pinned = asset
    wrong = pinned[::-1]
    with pytest.raises(AssetError) as refusal:
        package_file(PACKAGE, name, wrong)
    for part in (Path(name).name, wrong, pinned, "make setup"):
        assert part in str(refusal.value)


# Distinct words, so that a piece is found in one place only.
numbered = st.builds(
    lambda count, between: between.join(map(str, range(1000, 1000 + count))),
    st.integers(0, 900),
    st.sampled_from([" ", "\n\n", ""]),
)


@given(st.text(max_size=300) | numbered)
def test_segments_cover_every_word_and_stay_short(text: str) -> None:
    pieces = segments(text)
    assert all(len(piece) <= 1200 for piece in pieces)
    end = 0
    for piece in pieces:
        start = text.find(piece)
        assert start >= 0
        assert not text[end:start].strip()
        end = max(end, start + len(piece))
    assert not text[end:].strip()


def test_a_long_text_is_cut_where_the_model_would_cut_it_short(encoder: MiniLm) -> None:
    pieces = segments("The museum opens at nine in the morning. " * 200)
    assert len(pieces) > 5
    assert all(len(encoder.tokenizer.encode(piece).ids) < 256 for piece in pieces)
