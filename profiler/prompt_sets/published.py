"""The published prompt sets: which column means what, which rows are harmful, and where the hub has them.

A set is a row of `PUBLISHED`. Columns are tried in order, since a set's own file and its mirror on the hub name
them differently. Licences and terms of the sets hold for who loads them; nothing of them is in this project.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Columns = tuple[str, ...]
Label = str | Mapping[str, str] | Callable[[Mapping[str, Any]], str | None]


class MissingColumn(Exception):
    """A row has none of the columns that the set should have; the message names them."""


@dataclass(frozen=True)
class Layout:
    """How a published set writes a prompt down.

    `label` is one for all rows, or by a word in the file's name, or of a row (None: the set itself gives none).
    `context` goes before the text. `files` are those on the hub at `repo`, with the category of their rows where
    no column has it.
    """

    text: Columns
    label: Label
    repo: str
    files: Mapping[str, str]
    id: Columns = ()
    category: Columns = ()
    context: Columns = ()
    # What is added to the category where this column is true.
    mark: Columns = field(default=())


def cell(row: Mapping[str, Any], columns: Columns) -> str:
    """The first of `columns` that the row has, as text; empty where it has none or no value there."""
    for name in columns:
        if name in row:
            value = row[name]
            return "" if value is None or value != value else str(value)
    return ""


def has(row: Mapping[str, Any], columns: Columns) -> bool:
    """Whether the row has one of the columns."""
    return any(name in row for name in columns)


def true(row: Mapping[str, Any], columns: Columns) -> bool:
    """Whether the cell says yes: 1, 1.0 or true."""
    return cell(row, columns).strip().lower() in ("1", "1.0", "true")


def _xstest(row: Mapping[str, Any]) -> str | None:
    """Unsafe prompts are contrasts to the safe ones; files of before 2024 have no label but this prefix."""
    if has(row, ("label",)):
        return {"safe": "borderline", "unsafe": "harmful"}.get(cell(row, ("label",)))
    if not has(row, ("type",)):
        raise MissingColumn("label")
    return "harmful" if cell(row, ("type",)).startswith("contrast_") else "borderline"


def _wildguard(row: Mapping[str, Any]) -> str | None:
    """The annotators' majority; none where they did not agree."""
    if not has(row, ("prompt_harm_label",)):
        raise MissingColumn("prompt_harm_label")
    return {"harmful": "harmful", "unharmful": "benign"}.get(cell(row, ("prompt_harm_label",)))


def _toxicchat(row: Mapping[str, Any]) -> str | None:
    if not has(row, ("toxicity",)):
        raise MissingColumn("toxicity")
    return "harmful" if true(row, ("toxicity",)) or true(row, ("jailbreaking",)) else "benign"


_ONE_FILE = {"data/train-00000-of-00001.parquet": ""}

PUBLISHED: Mapping[str, Layout] = {
    # Röttger et al. 2024, "XSTest"; CC-BY 4.0.
    "xstest": Layout(("prompt",), _xstest, "walledai/XSTest", _ONE_FILE, ("id", "id_v2"), ("type",)),
    # Mazeika et al. 2024, "HarmBench"; MIT.
    "harmbench": Layout(
        ("Behavior", "prompt"),
        "harmful",
        "walledai/HarmBench",
        {
            "standard/train-00000-of-00001.parquet": "",
            "contextual/train-00000-of-00001.parquet": "",
            "copyright/train-00000-of-00001.parquet": "copyright",
        },
        ("BehaviorID",),
        ("SemanticCategory", "category"),
        ("ContextString", "context"),
    ),
    # Souly et al. 2024, "A StrongREJECT for Empty Jailbreaks"; MIT.
    "strongreject": Layout(
        ("forbidden_prompt", "prompt"), "harmful", "walledai/StrongREJECT", _ONE_FILE, (), ("category",)
    ),
    # Chao et al. 2024, "JailbreakBench"; MIT. The benign behaviours are about the same topics.
    "jailbreakbench": Layout(
        ("Goal",),
        {"harmful": "harmful", "benign": "benign"},
        "JailbreakBench/JBB-Behaviors",
        {"data/harmful-behaviors.csv": "", "data/benign-behaviors.csv": ""},
        ("Index",),
        ("Category",),
    ),
    # Cui et al. 2024, "OR-Bench"; CC-BY 4.0.
    "or-bench": Layout(
        ("prompt",),
        {"toxic": "harmful", "hard-1k": "borderline", "80k": "borderline"},
        "bench-llm/or-bench",
        {"or-bench-hard-1k.csv": "", "or-bench-toxic.csv": ""},
        (),
        ("category",),
    ),
    # Zou et al. 2023, "Universal and Transferable Adversarial Attacks"; MIT.
    "advbench": Layout(("goal", "prompt"), "harmful", "walledai/AdvBench", _ONE_FILE),
    # Han et al. 2024, "WildGuard"; ODC-BY, behind a form on the hub.
    "wildguardtest": Layout(
        ("prompt",),
        _wildguard,
        "allenai/wildguardmix",
        {"test/wildguard_test.parquet": ""},
        (),
        ("subcategory",),
        mark=("adversarial",),
    ),
    # Lin et al. 2023, "ToxicChat"; CC-BY-NC 4.0.
    "toxicchat": Layout(
        ("user_input",),
        _toxicchat,
        "lmsys/toxic-chat",
        {"data/0124/toxic-chat_annotation_test.csv": ""},
        ("conv_id",),
        mark=("jailbreaking",),
    ),
}
