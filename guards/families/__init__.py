"""Guard models that people deploy, one data file a family: how each is asked and how its verdict is read."""

from guards.families.family import FamilyError, families, family_for, family_named, read_family
from guards.families.fill import Rendered, render
from guards.families.parse import from_logprobs, parse
from guards.families.schema import Family

__all__ = [
    "Family",
    "FamilyError",
    "Rendered",
    "families",
    "family_for",
    "family_named",
    "from_logprobs",
    "parse",
    "read_family",
    "render",
]
