"""MiniLM and the shipped heads, as the worker process loads them."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import numpy as np

from guards.assets import AssetError
from guards.scorers.heads import Head, HeadName, load_head
from guards.scorers.minilm import MiniLm, segments
from guards.scorers.model_process import CannotLoad
from guards.scorers.refusal import RefusalDetector

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 32 << 20

Asked = tuple[str, Sequence[str]]
"""A text and the names of the heads that judge it."""


def load() -> Callable[[list[Asked]], list[dict[str, float]]]:
    """The encoder and every head.

    Raises:
        CannotLoad: a file of theirs is missing or is not the pinned one.
    """
    _keep_memory()
    try:
        encoder, heads = MiniLm.load(), {name: load_head(name) for name in get_args(HeadName)}
    except AssetError as error:
        raise CannotLoad(str(error)) from error
    return lambda batch: probabilities(encoder, heads, batch)


def _keep_memory() -> None:
    """Have glibc keep freed blocks: it would fetch a batch's from the kernel again in every layer, 3 % of its time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def probabilities(
    encoder: MiniLm, heads: Mapping[HeadName, Head | RefusalDetector], batch: Sequence[Asked]
) -> list[dict[str, float]]:
    """Of each text, the named heads' probabilities. A piece of text that several heads look at is embedded once."""
    found: list[dict[str, float]] = [{} for _ in batch]
    asked = {name: [row for row, (_, names) in enumerate(batch) if name in names] for name in heads}
    linear = {name: head for name, head in heads.items() if isinstance(head, Head)}
    pieces = {row: segments(batch[row][0]) for row in sorted({row for name in linear for row in asked[name]})}
    places = {piece: place for place, piece in enumerate(dict.fromkeys(p for group in pieces.values() for p in group))}
    embeddings = encoder.embed(list(places))
    for name, head in linear.items():
        groups = [pieces[row] for row in asked[name]]
        _note(found, name, asked[name], head.greatest(embeddings[[places[p] for g in groups for p in g]], groups))
    detectors = {name: head for name, head in heads.items() if isinstance(head, RefusalDetector)}
    for name, detector in detectors.items():
        _note(found, name, asked[name], detector.score(encoder, [batch[row][0] for row in asked[name]]))
    return found


def _note(found: list[dict[str, float]], name: str, rows: Sequence[int], scores: np.ndarray) -> None:
    for row, p in zip(rows, scores, strict=True):
        found[row][name] = float(p)
