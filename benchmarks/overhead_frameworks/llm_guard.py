"""The keyword guard in llm-guard: its own BanSubstrings by word, through `scan_prompt`; logs errors only."""

from collections.abc import Sequence

from llm_guard import scan_prompt
from llm_guard.input_scanners import BanSubstrings
from llm_guard.util import configure_logger

from benchmarks.overhead_frameworks.child import Check, serve


def prepare(words: Sequence[str]) -> Check:
    configure_logger("ERROR")
    scanners = [BanSubstrings(list(words), match_type="word")]
    return lambda texts: [not all(scan_prompt(scanners, text)[1].values()) for text in texts]


serve("llm-guard", prepare)
