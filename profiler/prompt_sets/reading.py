"""From references to prompts: rows become prompts, each key takes those of its label, repeats are left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from profiler.errors import UserError
from profiler.prompt_sets.hub import hub_files
from profiler.prompt_sets.own import own_prompt
from profiler.prompt_sets.prompt import HARMLESS, LABELS, Prompt, normalised
from profiler.prompt_sets.published import PUBLISHED, Layout, MissingColumn, cell, has, true
from profiler.prompt_sets.reference import Reference, parsed
from profiler.prompt_sets.rows import Row, read_rows


@dataclass(frozen=True)
class Found:
    """Prompts by label, each list without repeats, and what a user should know of how they were read."""

    by_label: dict[str, tuple[Prompt, ...]]
    notes: tuple[str, ...] = ()


def read_labelled(sources: Iterable[tuple[str, str]]) -> Found:
    """Read prompt sets.

    Args:
        sources: pairs of a scenario's key and a reference. The key is a label, whose rows are taken, or "sets",
            which takes every row under the label that it has.

    Raises:
        UserError: the key, the file, the row and the cure.
    """
    notes: list[str] = []
    prompts = [prompt for key, text in sources for prompt in _taken(key, text, notes)]
    for prompt in prompts:
        _check_text(prompt)
    by_label = {label: [p for p in prompts if p.label == label] for label in LABELS}
    kept = {label: _without_repeats(found, notes) for label, found in by_label.items() if found}
    return Found(_with_ids_of_their_own(kept), tuple(notes))


def read_all(sources: Iterable[str], where: str) -> tuple[Prompt, ...]:
    """The prompts of the references as they are, whatever their label; raises as `read_labelled`."""
    found = tuple(prompt for text in sources for prompt in _read(parsed(text), where, "", []))
    for prompt in found:
        _check_text(prompt)
    return found


def _taken(key: str, text: str, notes: list[str]) -> list[Prompt]:
    """The rows of a reference that a key takes."""
    where, reference = f"prompts.{key}", parsed(text)
    found = _read(reference, where, key if key in LABELS else "", notes)
    if key not in LABELS:
        return found
    labels = Counter(prompt.label for prompt in found)
    takes: tuple[str, ...] = (key,)
    if not labels[key] and key in HARMLESS and any(labels[label] for label in HARMLESS):
        # Which harmless prompts are borderline is a question of view: the scenario's goes first.
        takes = HARMLESS
        notes.append(f"{where}: {reference}: its harmless prompts are taken as {key}")
    mine = [replace(prompt, label=key) for prompt in found if prompt.label in takes]
    others = ", ".join(f"{n} {label}" for label, n in sorted(labels.items()) if n and label not in takes)
    if not mine:
        raise UserError(f"{where}: {reference} holds no {key} prompt ({others}): name it under another key")
    if others:
        notes.append(f"{where}: {reference}: {len(mine)} of {len(found)} prompts (others: {others})")
    return mine


def _read(reference: Reference, where: str, key: str, notes: list[str]) -> list[Prompt]:
    files: Iterable[tuple[Path, str]] = (
        hub_files(reference.set, reference.repo, where) if reference.on_hub else [(Path(reference.path), "")]
    )
    found: list[Prompt] = []
    for path, category in files:
        if reference.set:
            found += _published(reference.set, path, where, key, category, notes)
        else:
            found += [own_prompt(row, place) for place, row in read_rows(path, where)]
    if not found:
        raise UserError(f"{where}: {reference} holds no prompt: add one JSON object a line")
    return found


def _published(name: str, path: Path, where: str, key: str, category: str, notes: list[str]) -> list[Prompt]:
    layout, found, unlabelled, empty = PUBLISHED[name], list[Prompt](), 0, 0
    given = _label_of_file(name, layout, path, where, key)
    for number, (place, row) in enumerate(read_rows(path, where), 1):
        text, label = _text(layout, row, name, place), given or _label_of_row(layout, row, name, place)
        if label is None:
            unlabelled += 1
        elif not text.strip():
            empty += 1
        else:
            id_ = cell(row, layout.id) or str(number)
            found.append(Prompt(f"{name}:{id_}", _category(name, layout, row, category), label, text))
    notes += [f"{where}: {path.name}: {n} rows without {what} left out" for n, what in
              ((unlabelled, "a label"), (empty, "text")) if n]  # fmt: skip
    return found


def _label_of_file(name: str, layout: Layout, path: Path, where: str, key: str) -> str:
    """The label of every row of the file; empty where rows have labels of their own."""
    if isinstance(layout.label, str):
        return layout.label
    if callable(layout.label):
        return ""
    for word, label in layout.label.items():
        if word in path.name.lower():
            return label
    if not key:
        words = ", ".join(layout.label)
        raise UserError(
            f"{where}: {path.name}: which label {name} gives it is not known: its name has none of {words}: "
            f"name it under {', '.join(LABELS)}"
        )
    return key


def _label_of_row(layout: Layout, row: Row, name: str, place: str) -> str | None:
    assert callable(layout.label)
    try:
        return layout.label(row)
    except MissingColumn as missing:
        raise _no_column(str(missing), row, name, place) from None


def _text(layout: Layout, row: Row, name: str, place: str) -> str:
    if not has(row, layout.text):
        raise _no_column(layout.text[0], row, name, place)
    text, context = cell(row, layout.text), cell(row, layout.context)
    return f"{context}\n\n{text}" if context else text


def _no_column(column: str, row: Row, name: str, place: str) -> UserError:
    there = ", ".join(map(str, row))
    return UserError(f"{place}: no column `{column}`, there are {there}: give {name}'s published file")


def _category(name: str, layout: Layout, row: Row, otherwise: str) -> str:
    category = cell(row, layout.category) or otherwise or "other"
    mark = f" ({layout.mark[0]})" if layout.mark and true(row, layout.mark) else ""
    return f"{name}/{category}{mark}"


def _check_text(prompt: Prompt) -> None:
    """Half a surrogate pair is in no Unicode text: neither engine nor store could take it."""
    try:
        "".join((prompt.id, prompt.category, *(message.content for message in prompt.messages))).encode()
    except UnicodeEncodeError:
        raise UserError(f"prompt {prompt.id!a}: holds half a surrogate pair, which is no text: correct it") from None


def _without_repeats(prompts: Sequence[Prompt], notes: list[str]) -> tuple[Prompt, ...]:
    """The first of each text."""
    kept = dict[str, Prompt]()
    for prompt in prompts:
        kept.setdefault(normalised(prompt), prompt)
    if repeats := len(prompts) - len(kept):
        notes.append(f"prompts: {repeats} of {len(prompts)} {prompts[0].label} prompts are repeats: left out")
    return tuple(kept.values())


def _with_ids_of_their_own(by_label: dict[str, tuple[Prompt, ...]]) -> dict[str, tuple[Prompt, ...]]:
    """Two files may use the same ids: the later ones get a number, since an id stands for a prompt in the records."""
    seen = Counter[str]()
    return {label: tuple(_numbered(prompts, seen)) for label, prompts in by_label.items()}


def _numbered(prompts: Iterable[Prompt], seen: Counter[str]) -> Iterator[Prompt]:
    for prompt in prompts:
        seen[prompt.id] += 1
        yield prompt if seen[prompt.id] == 1 else replace(prompt, id=f"{prompt.id}#{seen[prompt.id]}")
