"""Guard models that people deploy, one data file a family: how each is asked and how its verdict is read."""

from guards.families.family import FamilyError, families, family_for, family_named, read_family
from guards.families.fill import Rendered, Turn, render
from guards.families.parse import from_logprobs, parse
from guards.families.schema import Family, Side

__all__ = [
    "Family",
    "FamilyError",
    "Rendered",
    "Side",
    "Turn",
    "families",
    "family_for",
    "family_named",
    "from_logprobs",
    "parse",
    "read_family",
    "render",
]
