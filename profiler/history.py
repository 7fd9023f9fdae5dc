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
    runs = [_figures(name, one, rows[name], metric) for name, one in whole.items() if not isinstance(rows[name], str)]
    why = {name: one for name, one in opened if isinstance(one, str)}
    why |= {name: one for name, one in rows.items() if isinstance(one, str)}
    return History(tuple(runs), tuple(LeftOut(name, text) for name, text in why.items()))


def _runs_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name one that holds runs, such as results")
    # `latest` is a link to one of the others.
    found = sorted(path for path in folder.iterdir() if not path.is_symlink() and (path / MANIFEST).is_file())
    if not found:
        raise UserError(f"{folder}: no run in it: `alignment-tax profile --out {folder}` makes one")
    return found


def _opened(path: Path) -> _Whole | str:
    """The run, or why it is in no series."""
    try:
        run = read_run(path, verify=True)
    except UserError as error:
        return str(error)
    if (kind := run.manifest.get("kind")) is not None:
        return _KINDS.get(kind, f"of another kind ({kind})")
    if damage := [*run.damaged, *(note for note in run.notes if note.startswith(MANIFEST))]:
        return f"damaged: {'; '.join(damage)}"
    files = tuple(source for source in run.sources if isinstance(source, TrialFile))
    planned = run.manifest.get("planned_trials")
    if not files or not (run.complete or planned == len(files)):
        return f"unfinished: {len(files)}{'' if planned is None else f' of {planned}'} trials, ending: {run.ending}"
    try:
        return _Whole(run, series_key(run.manifest), files)
    except (KeyError, TypeError):
        return f"{MANIFEST} does not say what was run"


def _rows(whole: Mapping[str, _Whole]) -> dict[str, Mapping[Path, TrialRow] | str]:
    """By run, or what is damaged. All in one query; where that fails, run by run."""
    try:
        found = trial_rows([file.path for one in whole.values() for file in one.files])
    except DamagedFiles:
        return {name: _rows_of(one.files) for name, one in whole.items()}
    return {name: found for name in whole}


def _rows_of(files: Sequence[TrialFile]) -> Mapping[Path, TrialRow] | str:
    try:
        return trial_rows([file.path for file in files])
    except DamagedFiles as damage:
        return f"damaged: {damage}"


def _figures(name: str, one: _Whole, rows: Mapping[Path, TrialRow] | str, metric: str) -> HistoryRun:
    assert not isinstance(rows, str)
    found = [(file.info, rows[file.path]) for file in one.files if file.path in rows]
    return history_run(name, one.run.manifest, one.key, found, metric, recorded_note(one.run.manifest))
