"""MiniLM and the shipped heads, as the worker process loads them."""

import ctypes
from collections.abc import Callable, Sequence
from typing import get_args

from guards.assets import AssetError
from guards.scorers.heads import Head, HeadName, load_head
from guards.scorers.minilm import MiniLm
from guards.scorers.model_process import CannotLoad

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


def probabilities(encoder: MiniLm, heads: dict[HeadName, Head], batch: Sequence[Asked]) -> list[dict[str, float]]:
    """Of each text, the named heads' probabilities. A piece of text that several heads look at is embedded once."""
    asked = {name: [row for row, (_, names) in enumerate(batch) if name in names] for name in heads}
    pieces = {name: [heads[name].recipe.pieces(batch[row][0]) for row in rows] for name, rows in asked.items()}
    places = {piece: 0 for groups in pieces.values() for group in groups for piece in group}
    places = {piece: place for place, piece in enumerate(places)}
    embeddings = encoder.embed(list(places))
    found: list[dict[str, float]] = [{} for _ in batch]
    for name, groups in pieces.items():
        mine = embeddings[[places[piece] for group in groups for piece in group]]
        for row, p in zip(asked[name], heads[name].greatest(mine, groups), strict=True):
            found[row][name] = float(p)
    return found
