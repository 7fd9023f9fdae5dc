"""A stored run that is to be gone on with: what of it is finished, and what stands in the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from profiler.errors import UserError
from profiler.experiment import Seen
from profiler.plan import plan_block
from profiler.records import checksums
from profiler.records.durable import fingerprint
from profiler.records.samples import SUFFIX, beside
from profiler.records.store import DamagedTrial, StoredRun, StoredTrial, TrialFile, read_run
from profiler.scenario import BASELINE, Scenario

_MACHINE = ("cpu", "cores", "memory_gib")
_FACTS = ("engine", "vllm_version", "model", "device", "device_name", "dtype")
# What the kernel keeps for itself differs from one start of the machine to the next.
_SAME_MEMORY = 0.02


@dataclass(frozen=True)
class Unfinished:
    """A run with its scenario, and its whole trials by index."""

    stored: StoredRun
    scenario: Scenario
    finished: Mapping[int, StoredTrial | TrialFile]

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.stored.path

    def tidy(self) -> None:
        """Set aside what is damaged or half written, and note the files that lack a checksum.

        Raises:
            OSError: the folder is not writable.
        """
        trials = self.run / "trials"
        whole = {source.path for source in self.finished.values() if isinstance(source, TrialFile)}
        for scratch in self.run.rglob("*.partial"):
            scratch.unlink()
        for file in trials.glob("*.parquet"):
            if not file.name.endswith(SUFFIX) and file not in whole:
                file.rename(file.with_suffix(".damaged"))
        known = checksums.noted(self.run)
        files = [one for path in sorted(whole) for one in (beside(path), path) if one.is_file()]
        lacking = [file for file in files if file.relative_to(self.run).as_posix() not in known]
        if lacking:
            checksums.note(self.run, {file: fingerprint(file) for file in lacking})

    def ending(self) -> str:
        """Why there is nothing left to run; empty if there is."""
        arms, seen = list(self.scenario.stacks()), Seen(self.scenario, lambda: 0)
        while not seen.ending:
            planned = plan_block(arms, seen.blocks, self.scenario.seed)
            if any(trial.index not in self.finished for trial in planned):
                over = self.stored.complete and seen.blocks and len(self.finished) == seen.blocks * len(planned)
                return self.stored.ending if over else ""
            for trial in planned:
                seen.again(self.finished[trial.index])
            seen.block_is_over([arm for arm in arms if arm != BASELINE])
        return seen.ending


def unfinished(path: Path) -> Unfinished:
    """Read a run, every file of it compared with what was written.

    Raises:
        UserError: no run there, one of another kind, or one whose trials are not those of its own scenario.
    """
    stored = read_run(path, verify=True)
    if (kind := stored.manifest.get("kind")) is not None:
        raise UserError(f"{path}: a {kind} run: only those of `profile` and `sweep` can be gone on with")
    try:
        scenario = Scenario.model_validate(stored.manifest["scenario"])
    except KeyError:
        raise UserError(f"{path}: its run.json has no scenario: run it again") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: its scenario is of another version ({where}: {first['msg']}): run it again") from None
    if scenario.isolation == "dedicated":
        raise UserError(f"{path}: `isolation: dedicated` has an engine for every arm and cannot be gone on with")
    return Unfinished(stored, scenario, _finished(stored, scenario))


def _finished(stored: StoredRun, scenario: Scenario) -> dict[int, StoredTrial | TrialFile]:
    arms, known, found = list(scenario.stacks()), checksums.noted(stored.path), dict[int, StoredTrial | TrialFile]()
    for source in stored.sources:
        info = source.info
        planned = {trial.index: trial for trial in plan_block(arms, info.block, scenario.seed)}.get(info.index)
        if planned is None or (planned.arm, planned.replicate) != (info.arm, info.replicate):
            raise UserError(f"{stored.path}: trial {info.index} is not of its scenario's plan: run it again")
        if isinstance(source, TrialFile) and f"trials/{source.path.name}" not in known and not _readable(source):
            continue
        found[info.index] = source
    return found


def _readable(source: TrialFile) -> bool:
    try:
        source.load()
    except DamagedTrial:
        return False
    return True


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two manifests differ that would change the figures; what either does not say is not compared."""
    found = [*_differ(then.get("machine", {}), now.get("machine", {}), _MACHINE)]
    found += _differ(then.get("facts", {}), now.get("facts", {}), _FACTS)
    versions = [mapping.get("versions", {}) for mapping in (then, now)]
    if all(versions):
        names = sorted(versions[0].keys() | versions[1].keys())
        found += [
            f"{name}: was {versions[0].get(name, 'absent')}, is {versions[1].get(name, 'absent')}"
            for name in names
            if versions[0].get(name) != versions[1].get(name)
        ]
    digests = [mapping.get("prompts_sha256") for mapping in (then, now)]
    return found + (["the prompts are others"] if all(digests) and digests[0] != digests[1] else [])


def _differ(then: Mapping[str, Any], now: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    both = [(name, then[name], now[name]) for name in names if name in then and name in now]
    return [f"{name}: was {was}, is {is_}" for name, was, is_ in both if not _same(name, was, is_)]


def _same(name: str, was: Any, is_: Any) -> bool:
    if name == "memory_gib":
        return abs(float(is_) - float(was)) <= _SAME_MEMORY * float(was)
    return bool(was == is_)
