"""A run on disk: `run.json` and one Parquet file a trial, each renamed into place when it is whole.

results/<run id>/run.json            the resolved scenario, versions, machine, git commit
results/<run id>/isolation.json      of a dedicated run: what each arm's guards held, and what its engine was left
results/<run id>/ending.json         why the run ended
results/<run id>/trials/0007.parquet   one row a request; the trial's own facts in the file's metadata
results/<run id>/trials/0007.samples.parquet   what the meters sampled in it, where there are any
results/<run id>/idle.samples.parquet          the same of the idle window before the first block
results/<run id>/checksums.jsonl       size and SHA-256 of each of these files
results/<run id>/resumed.jsonl         when the run was gone on with, if it was, and what had changed by then
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from profiler.errors import UserError
from profiler.records import checksums
from profiler.records.durable import append_line, put, put_bytes
from profiler.records.parquet import write_parquet
from profiler.records.record import Readings, RequestRecord, TrialInfo
from profiler.records.samples import IDLE, SUFFIX, DamagedSamples, Samples, beside, read_samples, write_samples

SCHEMA_VERSION = 1
MANIFEST, _RESUMED = "run.json", "resumed.jsonl"
_META = b"alignment_tax.trial"
_WHOLE = ("index", "block", "replicate", "started_ns", "ended_ns")
_PARTS, _ENDING = checksums.REWRITTEN


class DamagedTrial(Exception):
    """A trial's file that opened well and could not be read to the end; the message names it, and why."""


@dataclass(frozen=True)
class StoredTrial:
    """A trial as read back: its facts, its requests as columns, and what the meters sampled.

    `damage` names the file of samples if it cannot be read; the trial is whole without it.
    """

    info: TrialInfo
    table: pa.Table
    samples: Samples | None = None
    damage: str = ""

    def load(self, columns: Sequence[str] | None = None, *, samples: bool = True) -> "StoredTrial":
        """Itself: it is in memory."""
        return self


@dataclass(frozen=True)
class TrialFile:
    """A trial on disk, whose facts have been read and whose requests have not."""

    info: TrialInfo
    path: Path
    damage: str = ""  # of its samples

    def load(self, columns: Sequence[str] | None = None, *, samples: bool = True) -> StoredTrial:
        """Read the requests: every column, or those named ("spans", "engine_calls.list.element.sent_ns").

        Not `samples`: what the meters saw is left on the disk.

        Raises:
            DamagedTrial: a column cannot be read.
        """
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                table = file.read(columns=None if columns is None else list(columns))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise DamagedTrial(_damage(self.path, error)) from error
        if self.damage or not samples:
            return StoredTrial(self.info, table, damage=self.damage)
        try:
            return StoredTrial(self.info, table, read_samples(beside(self.path)))
        except DamagedSamples as damage:
            return StoredTrial(self.info, table, damage=str(damage))


@dataclass(frozen=True)
class StoredRun:
    """A run as read back. `sources` are read when asked; `damaged` names the files that cannot be, and why.

    `ending` is why the run ended; `complete` whether it had then done all it was to do. `notes` say what should be
    known of it besides: its manifest has changed, it was gone on with on another machine. `parts`: what a dedicated
    run did for each arm.
    """

    path: Path
    manifest: dict[str, Any]
    sources: tuple[StoredTrial | TrialFile, ...]
    damaged: tuple[str, ...]
    ending: str = ""
    complete: bool = False
    notes: tuple[str, ...] = ()
    idle_damage: str = ""
    parts: tuple[dict[str, Any], ...] = ()

    @cached_property
    def trials(self) -> tuple[StoredTrial, ...]:
        """Every trial in memory, whole; large runs are better read one source at a time.

        Raises:
            DamagedTrial: a column cannot be read.
        """
        return tuple(source.load() for source in self.sources)

    def idle(self) -> Samples | None:
        """What the meters sampled in the idle window; None without one.

        Raises:
            DamagedSamples: the file cannot be read, or is not what was written.
        """
        if self.idle_damage:
            raise DamagedSamples(self.idle_damage)
        return read_samples(self.path / IDLE)


def create_run(results: Path, run_id: str, manifest: dict[str, Any]) -> Path:
    """Make the run's folder with its `run.json`, and point `latest` at it.

    Raises:
        UserError: the folder exists or cannot be written.
    """
    run = results / run_id
    try:
        (run / "trials").mkdir(parents=True)
        _keep(run, MANIFEST, json.dumps({"schema": SCHEMA_VERSION, **manifest}, indent=2))
        _point_latest(results, run_id)
    except FileExistsError:
        raise UserError(f"{run} exists already: choose another --out") from None
    except OSError as error:
        raise UserError(f"{run}: cannot be written: {error.strerror}: choose another --out") from error
    return run


def write_trial(run: Path, info: TrialInfo, records: Iterable[RequestRecord]) -> Path:
    """Store a finished trial.

    Raises:
        UserError: the disk is full or not writable; the trials stored before stay whole.
    """
    return write_stored(run, StoredTrial(info, as_table(info, records)))


def write_stored(run: Path, trial: StoredTrial) -> Path:
    """The same of a trial that is a table already.

    Raises:
        UserError: as `write_trial`.
    """
    path = run / "trials" / f"{trial.info.index:04d}.parquet"
    written = {}
    try:
        # Before the trial: a trial that is there has its samples.
        if trial.samples is not None:
            written[beside(path)] = write_samples(beside(path), trial.samples)
        written[path] = put(path, lambda scratch: write_parquet(scratch, trial.table))
        checksums.note(run, written)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error}): free some space or choose another --out") from error
    return path


def as_table(info: TrialInfo, records: Iterable[RequestRecord]) -> pa.Table:
    """A trial as a table, one row a request, its own facts in the metadata: what is stored and analysed."""
    rows = [asdict(record) for record in records]
    return pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({_META: json.dumps(asdict(info)).encode()}))


def write_idle(run: Path, samples: Samples) -> None:
    """Keep what the meters sampled while the machine was idle.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        checksums.note(run, {run / IDLE: write_samples(run / IDLE, samples)})
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error}): free some space or choose another --out") from error


def write_ending(run: Path, ending: str, complete: bool = True) -> None:
    """Keep why the run ended, and whether it had then done all it was to do.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        _keep(run, _ENDING, json.dumps({"ending": ending, "complete": complete}))
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error}): free some space or choose another --out") from error


def write_parts(run: Path, parts: Sequence[dict[str, Any]]) -> None:
    """Keep what a dedicated run has done for each arm so far.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        _keep(run, _PARTS, json.dumps({"arms": list(parts)}, indent=2))
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error}): free some space or choose another --out") from error


def _parts(run: Path) -> tuple[dict[str, Any], ...]:
    """Of a dedicated run; none of any other, or where the file is no more whole."""
    try:
        return tuple(dict(part) for part in json.loads(_text(run / _PARTS))["arms"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def _keep(run: Path, name: str, content: str) -> None:
    path = run / name
    if path.exists():
        # Between the line and the rename the file is still as an earlier line says: a crash leaves no false alarm.
        put_bytes(path, content.encode(), lambda found: checksums.note(run, {path: found}))
    else:
        checksums.note(run, {path: put_bytes(path, content.encode())})


def write_resumed(run: Path, facts: dict[str, Any]) -> None:
    """Keep that the run is gone on with; `differs` of the facts is what is not as it was.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        append_line(run / _RESUMED, json.dumps(facts).encode())
        _point_latest(run.parent, run.name)
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error}): free some space") from error


def _ending(run: Path) -> tuple[str, bool]:
    """Why the run ended, and whether it was done; a run that was killed did not say."""
    try:
        said = json.loads(_text(run / _ENDING))
        return str(said["ending"]), said.get("complete") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "not known", False


def _resumed(run: Path) -> tuple[str, ...]:
    try:
        lines = _text(run / _RESUMED).splitlines()
        said = [json.loads(line) for line in lines]
        changed = [f"gone on with at {one['at']}: {'; '.join(one['differs'])}" for one in said if one["differs"]]
        return tuple(f"{what}: the trials before and after may not compare" for what in changed)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return (_damage(run / _RESUMED, error),)


def read_run(path: Path, verify: bool = False) -> StoredRun:
    """Read a run with every trial that is whole: the facts now, the requests when they are asked for.

    `verify` hashes every file, however large.

    Raises:
        UserError: no run there, or one of a newer schema.
    """
    try:
        manifest = json.loads(_text(path / MANIFEST))
    except OSError:
        raise UserError(f"{path}: no run there (no readable run.json): name a folder under results/") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path / 'run.json'}: damaged: {error}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path / 'run.json'}: not a run of this program: name a folder under results/")
    if manifest.get("schema") != SCHEMA_VERSION:
        raise UserError(f"{path}: schema {manifest.get('schema')}, this version reads {SCHEMA_VERSION}: update")
    path = path.resolve()  # `latest` is a link
    changed = checksums.differences(path, verify)
    sources, damaged = [], [what for file, what in changed.items() if _is_trial(file)]
    for file in sorted((path / "trials").glob("*.parquet")):
        name = f"trials/{file.name}"
        if name in changed or not _is_trial(name):
            continue
        if not file.is_file():
            damaged.append(f"{file.name}: is no regular file")
            continue
        try:
            sources.append(_open_trial(file, changed.get(f"trials/{beside(file).name}", "")))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            damaged.append(_damage(file, error))
    return StoredRun(
        path,
        manifest,
        tuple(sources),
        tuple(sorted(damaged)),
        *_ending(path),
        (*(changed[name] for name in (MANIFEST, _PARTS, _ENDING) if name in changed), *_resumed(path)),
        changed.get(IDLE, ""),
        _parts(path),
    )


def _text(file: Path) -> str:
    """Of a regular file: whoever opens a pipe waits for who writes.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no UTF-8.
    """
    if file.exists() and not file.is_file():
        raise OSError("is no regular file")
    return file.read_text(encoding="utf-8")


def _is_trial(file: str) -> bool:
    return file.startswith("trials/") and not file.endswith(SUFFIX)


def _open_trial(file: Path, damage: str = "") -> TrialFile:
    facts = dict(json.loads((pq.read_metadata(file).metadata or {})[_META]))
    readings = Readings(**facts.pop("readings"))
    info = TrialInfo(**facts, readings=readings)
    if not isinstance(info.arm, str) or not all(isinstance(getattr(info, name), int) for name in _WHOLE):
        raise ValueError("its own facts are not those of a trial")
    return TrialFile(info, file, damage)


def _damage(file: Path, error: Exception) -> str:
    return f"{file.name}: {' '.join(str(error).split())[:160]}"


def _point_latest(results: Path, run_id: str) -> None:
    scratch = results / f".latest-{os.getpid()}"
    scratch.symlink_to(run_id)
    os.replace(scratch, results / "latest")


_NS = pa.int64()
_CHUNKS = [("chunk_ns", pa.list_(_NS)), ("chunk_tokens", pa.list_(pa.int32()))]
_TEXT = pa.dictionary(pa.int32(), pa.string())
_TIMES = pa.struct([(n, _NS) for n in ("queued_ns", "scheduled_ns", "first_token_ns", "last_token_ns")])
_CALL = pa.struct(
    [
        *[(n, _NS) for n in ("sent_ns", "first_ns", "last_ns", "ended_ns")],
        ("output_tokens", pa.int32()),
        ("finish_reason", pa.string()),
        ("aborted", pa.bool_()),
        ("times", _TIMES),
        *_CHUNKS,
        ("candidates", pa.int32()),
        ("prompt_tokens", pa.int32()),
    ]
)
_SPAN = pa.struct(
    [
        ("guard", pa.string()),
        ("stage", pa.string()),
        ("start_ns", _NS),
        ("end_ns", _NS),
        ("critical", pa.bool_()),
    ]
)
_TEXT_SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("category", pa.string())])
_VERDICT = pa.struct(
    [
        ("action", pa.string()),
        ("p_unsafe", pa.float64()),
        ("p_refusal", pa.float64()),
        ("categories", pa.list_(pa.string())),
        ("spans", pa.list_(_TEXT_SPAN)),
        ("status", pa.string()),
        ("detail", pa.string()),
    ]
)
_SCHEMA = pa.schema(
    [
        ("index", pa.int32()),
        *[(n, _TEXT) for n in ("prompt_id", "label", "category")],
        *[(n, _NS) for n in ("scheduled_ns", "sent_ns", "first_ns", "last_ns")],
        ("output_tokens", pa.int32()),
        ("finish_reason", _TEXT),
        ("outcome", _TEXT),
        ("error", pa.string()),
        *_CHUNKS,
        ("engine_calls", pa.list_(_CALL)),
        ("spans", pa.list_(_SPAN)),
        ("verdicts", pa.list_(pa.struct([("guard", pa.string()), ("verdict", _VERDICT), ("at_ns", _NS)]))),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("chosen_candidate", pa.int32()),
        ("exposed_tokens", pa.int32()),
        ("answer_refusal", pa.float64()),
        ("answer_unsafe", pa.float64()),
    ]
)
