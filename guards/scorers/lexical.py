"""Word features that a sentence embedding blurs: hashed n-grams."""

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})


def opening(text: str, words: int = 60) -> str:
    """The first `words` words of `text`: where an answer says whether it is one."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return text if len(ends) <= words else text[: ends[words - 1]]


def hashed_ngrams(texts: Sequence[str], buckets: int) -> np.ndarray:
    """Word uni- and bigrams hashed (CRC-32) into `buckets`, each row of unit length: (n, buckets) float32."""
    rows = np.zeros((len(texts), buckets), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        words = _WORD.findall(text.lower().translate(_APOSTROPHES))
        for gram in {*words, *(f"{a} {b}" for a, b in pairwise(words))}:
            row[zlib.crc32(gram.encode()) % buckets] = 1.0
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0))
