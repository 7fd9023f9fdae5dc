"""The phrases of refusals, and of what is none, as features of a clause; `data/refusal_cues.yaml` lists them."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml

FILE = Path(__file__).parent / "data" / "refusal_cues.yaml"

_MAX_CHARS = 600
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})


@cache
def patterns() -> dict[str, re.Pattern[str]]:
    """Cue -> regular expression, in the file's order."""
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: _compiled(parts, data["words"]) for name, parts in data["cues"].items()}


def _compiled(parts: Sequence[str], words: dict[str, str]) -> re.Pattern[str]:
    joined = "|".join(f"(?:{part})" for part in parts)
    for name, alternatives in words.items():
        joined = joined.replace(f"{{{name}}}", alternatives)
    return re.compile(joined)


def cues(texts: Sequence[str]) -> np.ndarray:
    """Which cues each clause holds in its first 600 characters: (n, cues) float32 of 0 and 1."""
    lowered = [text[:_MAX_CHARS].lower().translate(_APOSTROPHES) for text in texts]
    found = [[pattern.search(text) is not None for pattern in patterns().values()] for text in lowered]
    return np.array(found, dtype=np.float32).reshape(len(texts), len(patterns()))


def with_pairs(found: np.ndarray) -> np.ndarray:
    """The cues and which two of them occur together, each row of unit length: (n, cues * (cues + 1) / 2)."""
    left, right = np.array(list(combinations(range(found.shape[1]), 2))).T
    both = np.concatenate([found, found[:, left] * found[:, right]], axis=1)
    return np.asarray(both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1.0))
