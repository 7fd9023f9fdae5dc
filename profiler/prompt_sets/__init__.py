"""Prompt sets: files of our own layout, published sets by name, and what a scenario makes of them."""

from profiler.prompt_sets.prompt import LABELS, Prompt, normalised
from profiler.prompt_sets.published import PUBLISHED
from profiler.prompt_sets.reading import Found, read_all, read_labelled
from profiler.prompt_sets.reference import absolute, check_reference

__all__ = [
    "LABELS",
    "PUBLISHED",
    "Found",
    "Prompt",
    "absolute",
    "check_reference",
    "normalised",
    "read_all",
    "read_labelled",
]
