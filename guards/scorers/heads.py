"""Linear heads on the frozen embedding: probability = sigmoid(weights . features + bias).

Three heads ship with the source tree: `prompt` is p(unsafe | prompt), `answer` p(unsafe | answer),
`refusal` p(declines the task or a part of it | answer), see `guards.scorers.refusal`. Each has a card that
says what it was trained on and how well it does; `guards.training` makes them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np

from guards.assets import AssetError
from guards.scorers.lexical import hashed_ngrams
from guards.scorers.minilm import DIMENSIONS, MiniLm, segments
from guards.scorers.refusal import RefusalDetector, load_detector, save_detector

WEIGHTS = Path(__file__).parent.parent / "weights"

HeadName = Literal["prompt", "answer", "refusal"]


@dataclass(frozen=True)
class Recipe:
    """What a head looks at: each piece's embedding, and `ngram_buckets` hashed n-grams behind its 384 numbers."""

    ngram_buckets: int = 0

    def features(self, embeddings: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) embeddings of `texts` with the word features behind them: (n, features) float32."""
        if not self.ngram_buckets:
            return embeddings
        return np.concatenate([embeddings, hashed_ngrams(texts, self.ngram_buckets)], axis=1)


@dataclass(frozen=True)
class Head:
    """One trained head. `weights` is (features,) float32, `threshold` its default operating point."""

    name: str
    weights: np.ndarray
    bias: float
    threshold: float
    recipe: Recipe
    card: dict[str, Any]

    def probability(self, embeddings: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Probabilities (n,) float32 of pieces of text, given their embeddings (n, 384)."""
        logits = self.recipe.features(embeddings, texts) @ self.weights + self.bias
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)

    def score(self, encoder: MiniLm, texts: Sequence[str]) -> np.ndarray:
        """Probabilities (n,) float32 of whole texts: the greatest of their pieces'."""
        pieces = [segments(text) for text in texts]
        return self.greatest(encoder.embed([piece for group in pieces for piece in group]), pieces)

    def greatest(self, embeddings: np.ndarray, pieces: Sequence[Sequence[str]]) -> np.ndarray:
        """Probabilities (n,) float32 of n texts, given the pieces of each and the embeddings of all, in order."""
        flat = [piece for group in pieces for piece in group]
        if not flat:
            return np.zeros(0, dtype=np.float32)
        found = self.probability(embeddings, flat)
        starts = np.cumsum([0, *(len(group) for group in pieces[:-1])])
        return np.maximum.reduceat(found, starts)


@overload
def load_head(name: Literal["refusal"], folder: Path = WEIGHTS) -> RefusalDetector: ...


@overload
def load_head(name: Literal["prompt", "answer"], folder: Path = WEIGHTS) -> Head: ...


@overload
def load_head(name: HeadName, folder: Path = WEIGHTS) -> Head | RefusalDetector: ...


def load_head(name: HeadName, folder: Path = WEIGHTS) -> Head | RefusalDetector:
    """Read `<name>.npz` and its card `<name>.json`. Every head has `name`, `threshold`, `card` and `score`.

    Raises:
        AssetError: no such head, a file is missing, or the weights do not fit the recipe.
    """
    if name not in get_args(HeadName):
        raise AssetError(f"no head {name!r}: there are {', '.join(get_args(HeadName))}")
    path, file = folder / f"{name}.npz", folder / f"{name}.json"
    for needed in (path, file):
        if not needed.is_file():
            raise AssetError(f"{needed} is missing: restore it with `git checkout`")
    card = json.loads(file.read_text(encoding="utf-8"))
    return load_detector(path, card) if name == "refusal" else _load_linear(name, path, card)


def _load_linear(name: str, path: Path, card: dict[str, Any]) -> Head:
    with np.load(path, allow_pickle=False) as arrays:
        weights = arrays["weights"].astype(np.float32)
        recipe = Recipe(int(arrays["ngram_buckets"]))
        bias, threshold = float(arrays["bias"]), float(arrays["threshold"])
    expected = recipe.features(np.zeros((1, DIMENSIONS), dtype=np.float32), [""]).shape[1]
    if weights.shape != (expected,):
        raise AssetError(f"{path} holds {weights.shape} weights, its recipe needs ({expected},): train it again")
    return Head(name, weights, bias, threshold, recipe, card)


def save_head(head: Head | RefusalDetector, folder: Path = WEIGHTS) -> None:
    """Write `<name>.npz` and its card; `load_head` reads them back."""
    path = folder / f"{head.name}.npz"
    if isinstance(head, RefusalDetector):
        save_detector(head, path)
    else:
        np.savez(
            path,
            weights=head.weights.astype(np.float16),
            bias=np.float64(head.bias),
            threshold=np.float64(head.threshold),
            ngram_buckets=np.int64(head.recipe.ngram_buckets),
        )
    text = json.dumps(head.card, indent=2, ensure_ascii=False)
    (folder / f"{head.name}.json").write_text(text + "\n", encoding="utf-8")
