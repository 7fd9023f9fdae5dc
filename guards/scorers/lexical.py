"""Word features that a sentence embedding blurs: hashed n-grams, and the set phrases of refusals."""

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})

_CANNOT = r"(?:can't|cannot|can not|won't|will not|(?:am|'m) (?:not able to|unable to|not going to|not willing to))"
_SERVE = (
    r"(?:help|assist|provide|comply|do (?:that|this|it)|support"
    r"|create|write|share|give|fulfil|engage|offer|discuss"
    r"|answer|tell you|describe|explain|produce|generate|name"
    r"|guide|recommend|predict|diagnose|reproduce|go along)"
)

REFUSAL_CUES: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern)
    for pattern in (
        # The speaker declines to serve.
        rf"\b(?:i|we) ?{_CANNOT}\b[^.!?\n]{{0,30}}\b{_SERVE}\b"
        rf"|\bi don't (?:provide|help|share|write|feel comfort)",
        rf"^[^.!?\n]{{0,60}}\b(?:i|we) ?{_CANNOT}\b",
        r"\b(?:i|we)(?:'d| would|'ll| will)?(?: must| have to"
        r"| need to)? (?:rather not|prefer not to|decline|refuse)\b",
        r"\b(?:must|have to|need to) (?:decline|refuse"
        r"|stop here|skip|draw (?:a|the) line)\b|\bpass on this\b",
        r"\blet's not\b|\boff the table\b|\bthere will be no\b"
        r"|\bplease don't ask me\b|\bi don't (?:think|want)\b",
        r"\b(?:not (?:able|comfortable|allowed|permitted|willing|something i)|unable|unwilling)\b",
        r"\b(?:i(?:'d| would|'ll| will| have|'ve)? )?(?:leave"
        r"|left|leaving) (?:it|out|this)\b|\bonly answer\b",
        r"\brequest (?:is |was )?(?:declined|denied)\b|\b(?:this|your|that|the) request\b",
        # Its apologies, and apologies that are none.
        r"^\W*(?:(?:i'm|i am|we're|oh dear) )?(?:(?:so|very"
        r"|really) )?(?:sorry|afraid)\b|^\W*(?:i )?apologi[sz]e\b",
        r"\b(?:sorry|apologi[sz]e|apology) (?:to hear|about|for|that (?:your|you))\b|\bsorry, my\b",
        # Idioms of other meaning.
        r"\b(?:can't|cannot) (?:believe|wait|stress|recommend [a-z ]* enough"
        r"|hurt|say for)|\bwon't (?:lie|compile|start)\b",
        # The reasons given.
        r"\bas an ai\b|\bas a (?:large )?(?:language model"
        r"|responsible)\b|\bi'm (?:just )?(?:an ai|an assistant)\b",
        r"\b(?:my|our|safety|usage|ethical) (?:guidelines"
        r"|programming|polic(?:y|ies)|principles|conscience)\b",
        r"\b(?:illegal|against the law|unethical|harmful"
        r"|irresponsible|inappropriate|unsafe|wrong|a crime|offence)\b",
        r"\b(?:harms?|hurts?|endangers?|puts?) (?:people|others|somebody|someone|animals)\b",
        # What is offered in its place, and help for those in need.
        r"\b(?:instead|what i can do|but i can|i can (?:instead"
        r"|explain|suggest|only)|happy to (?:help|talk))\b",
        r"\b(?:reach out|hotline|helpline|crisis line|988|you don't have to face|someone you trust)\b",
        # How an answer that complies begins and goes on.
        r"^\W*(?:sure|certainly|of course|absolutely|here(?:'s| is| are)|yes\b|okay|great question)",
        r"(?m)^\s*(?:\d[.)]|step 1|first[,:]|#|```|def |[-*] )",
        r"^\W*no\b[^a-z]*\bi\b|^\W*(?:nope|no)\W*$|^\W*(?:nope|absolutely not)\b",
        r"^[\"\u201c]|\bsaid\b|^dear\b",
    )
)


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


def refusal_cues(texts: Sequence[str]) -> np.ndarray:
    """Which of the set phrases each text holds: (n, len(REFUSAL_CUES)) float32 of 0 and 1."""
    lowered = [text.lower().translate(_APOSTROPHES) for text in texts]
    found = [[cue.search(text) is not None for cue in REFUSAL_CUES] for text in lowered]
    return np.array(found, dtype=np.float32).reshape(len(texts), len(REFUSAL_CUES))
