"""What every command needs of a run that it shows."""

from pathlib import Path

from profiler.analysis.tax import RunResult, analyse
from profiler.calibration.real import KIND as CALIBRATION
from profiler.errors import UserError
from profiler.records.store import StoredRun, read_run
from profiler.saturation.result import KIND as SATURATION


def finished_run(path: Path, verify: bool = False) -> StoredRun:
    """A run with a finished trial and a whole manifest; `verify`: every file is hashed.

    Raises:
        UserError: no such run.
    """
    run = read_run(path, verify)
    if not run.sources and run.damaged:
        raise UserError(f"{path}: none of its trials can be read: {'; '.join(run.damaged)}: run it again")
    if not run.sources:
        raise UserError(f"{path}: no finished trial in this run: run it again")
    if missing := [key for key in ("id", "facts", "arms") if key not in run.manifest]:
        raise UserError(f"{path / 'run.json'}: has no {', '.join(missing)}: it is not whole: run it again")
    return run


def profiled(path: Path) -> RunResult:
    """The result of a run of `profile` or `sweep`.

    Raises:
        UserError: no such run, or one of another kind.
    """
    run = finished_run(path)
    kinds = {SATURATION: "a saturation sweep", CALIBRATION: "a calibration"}
    if (kind := run.manifest.get("kind")) in kinds:
        raise UserError(f"{path}: is {kinds[kind]}: it has no arms at one load: name a run of `profile`")
    return analyse(run)
