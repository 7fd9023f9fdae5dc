"""`alignment-tax history`: the runs of a folder -> which may be compared -> their figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from profiler.analysis.history import HistoryRun, history_run
from profiler.analysis.series import SeriesKey, series_key
from profiler.calibration.real import KIND as CALIBRATION
from profiler.errors import UserError
from profiler.records.query import DamagedFiles, TrialRow, trial_rows
from profiler.records.store import MANIFEST, StoredRun, TrialFile, read_run
from profiler.report.recorded import recorded_note
from profiler.saturation.result import KIND as SATURATION

_KINDS = {SATURATION: "a saturation sweep", CALIBRATION: "a calibration"}
_NOT_OURS = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading JSON of another shape comes to."""


@dataclass(frozen=True)
class LeftOut:
    """A run that is in no series, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class History:
    """What a folder holds."""

    runs: tuple[HistoryRun, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Whole:
    """A run that may stand in a series."""

    run: StoredRun
    key: SeriesKey
    files: tuple[TrialFile, ...]


def read_history(folder: Path, metric: str, scenario: str | None = None) -> History:
    """Every run in a folder, those of one `scenario` where it is named; `metric` as the analysis keeps it.

    Every file is compared with its SHA-256: a run is read whole or not at all.

    Raises:
        UserError: no such folder, no run in it, or none of that scenario.
    """
    paths = _runs_in(folder)
    opened = [(path.name, _opened(path)) for path in paths]
    whole = {name: one for name, one in opened if isinstance(one, _Whole)}
    if scenario is not None:
        known = sorted({one.key.scenario for one in whole.values()})
        whole = {name: one for name, one in whole.items() if one.key.scenario == scenario}
        if not whole:
            there = f"there are {', '.join(known)}" if known else "there is no whole run"
            raise UserError(f"--scenario: no run of `{scenario}` in {folder}: {there}")
    rows = _rows(whole)
    found = {name: _figures(name, one, rows[name], metric) for name, one in whole.items()}
    why = [(name, one) for name, one in (*opened, *found.items()) if isinstance(one, str)]
    runs = tuple(one for one in found.values() if isinstance(one, HistoryRun))
    return History(runs, tuple(LeftOut(name, text) for name, text in why))


def _runs_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name one that holds runs, such as results")
    # `latest` is a link to one of the others.
    try:
        found = sorted(path for path in folder.iterdir() if not path.is_symlink() and _may_be_run(path))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}): name a folder of your own") from error
    if not found:
        raise UserError(f"{folder}: no run in it: `alignment-tax profile --out {folder}` makes one")
    return found


def _may_be_run(path: Path) -> bool:
    try:
        return (path / MANIFEST).is_file()
    except PermissionError:
        return path.is_dir()  # another user's: it is said that it cannot be read


def _opened(path: Path) -> _Whole | str:
    """The run, or why it is in no series."""
    try:
        run = read_run(path, verify=True)
    except UserError as error:
        return str(error)
    if (kind := run.manifest.get("kind")) is not None:
        return _KINDS.get(str(kind), f"of another kind ({kind})")
    if damage := [*run.damaged, *(note for note in run.notes if note.startswith(MANIFEST))]:
        return f"damaged: {'; '.join(damage)}"
    files = tuple(source for source in run.sources if isinstance(source, TrialFile))
    planned = run.manifest.get("planned_trials")
    if not files or not (run.complete or planned == len(files)):
        return f"unfinished: {len(files)}{'' if planned is None else f' of {planned}'} trials, ending: {run.ending}"
    try:
        return _Whole(run, series_key(run.manifest), files)
    except _NOT_OURS:
        return f"{MANIFEST} does not say what was run"


def _rows(whole: Mapping[str, _Whole]) -> dict[str, Mapping[Path, TrialRow] | str]:
    """By run, or what is damaged. All in one query; where that fails, file by file."""
    try:
        found = trial_rows([file.path for one in whole.values() for file in one.files])
    except DamagedFiles:
        return {name: _rows_of(one.files) for name, one in whole.items()}
    return {name: found for name in whole}


def _rows_of(files: Sequence[TrialFile]) -> Mapping[Path, TrialRow] | str:
    found: dict[Path, TrialRow] = {}
    for file in files:
        try:
            found |= trial_rows([file.path])
        except DamagedFiles as damage:
            return f"damaged: {file.path.name}: {damage}"
    return found


def _figures(name: str, one: _Whole, rows: Mapping[Path, TrialRow] | str, metric: str) -> HistoryRun | str:
    if isinstance(rows, str):
        return rows
    found = [(file.info, rows[file.path]) for file in one.files if file.path in rows]
    try:
        return history_run(name, one.run.manifest, one.key, found, metric, recorded_note(one.run.manifest))
    except (*_NOT_OURS, ArithmeticError) as error:
        return f"{MANIFEST} or a trial is not as this program writes it: {error}"
