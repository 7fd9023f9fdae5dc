"""A word list as a pattern: a tree of its words, so that a long list costs no more per character than a short one."""

import re
from collections.abc import Iterable

_Tree = dict[str, "_Tree"]
_END = ""  # a word ends here


def word_list(words: Iterable[str]) -> str:
    """A pattern for any of `words`, with no word character next to it; at one place the longest. Ignore case.

    Raises:
        ValueError: no words, or a blank one.
    """
    root: _Tree = {}
    for word in words:
        if not word.strip():
            raise ValueError("a word list holds a blank word: leave it out")
        node = root
        for char in word:
            node = node.setdefault(_folded(char), {})
        node[_END] = {}
    if not root:
        raise ValueError("a word list is empty: give it a word")
    return rf"(?<!\w){_alternatives(root)}(?!\w)"


def _folded(char: str) -> str:
    """Lower case, where that is one character: as the matching ignores case."""
    lower = char.lower()
    return lower if len(lower) == 1 else char


def _alternatives(node: _Tree) -> str:
    branches = [_branch(char, below) for char, below in node.items() if char != _END]
    if not branches:
        return ""
    both = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    # The longer word first.
    return f"(?:{both})?" if _END in node else both


def _branch(char: str, below: _Tree) -> str:
    """A character, the ones that must follow it, and then what may."""
    run = re.escape(char)
    while len(below) == 1 and _END not in below:
        ((char, below),) = below.items()
        run += re.escape(char)
    return run + _alternatives(below)
