"""A scenario: what is run, on what, under which load, guarded how. Read from YAML, validated once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from guards.config import CustomConfig, GuardConfig, check_members, members
from profiler.coalitions import Attribution, with_coalitions
from profiler.errors import UserError
from profiler.percent import Percent
from profiler.prompt_sets import absolute, check_reference

BASELINE = "none"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SHIPPED_WARMUP = Path(__file__).parents[1] / "scenarios" / "prompts" / "warmup.jsonl"


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


Sources = Annotated[tuple[Annotated[str, AfterValidator(check_reference)], ...], BeforeValidator(_one_or_more)]
"""One prompt set or several: files relative to the scenario, published sets such as `xstest:file.csv`, `xstest:hub`."""


class PromptsConfig(_Strict):
    """Prompt sets, and the mix that is drawn from them.

    A key that is a label takes the rows of that label; `sets` takes every row under the label that the set gives it.
    """

    benign: Sources = ()
    borderline: Sources = ()
    harmful: Sources = ()
    sets: Sources = ()
    warmup: Sources = (str(SHIPPED_WARMUP),)
    harmful_fraction: float = Field(default=0.2, ge=0, le=1)
    borderline_fraction: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _sets_alone(cls, value: Any) -> Any:
        return {"sets": value} if isinstance(value, str | list) else value

    @model_validator(mode="after")
    def _fractions_fit(self) -> "PromptsConfig":
        if self.harmful_fraction + self.borderline_fraction > 1:
            raise ValueError("harmful_fraction + borderline_fraction must not exceed 1")
        if not self.sources():
            raise ValueError("names no prompt set: give `harmful`, `benign`, or `xstest:file.csv` alone")
        if not self.warmup:
            raise ValueError("warmup: names no prompt set: leave it out for the one that is shipped")
        return self

    def sources(self) -> list[tuple[str, str]]:
        """Key and reference of every set, the warm-up's left out."""
        return [(key, text) for key in ("benign", "borderline", "harmful", "sets") for text in getattr(self, key)]

    def under(self, folder: Path) -> "PromptsConfig":
        """The same with its files' paths under `folder`, where they are relative."""
        keys = ("benign", "borderline", "harmful", "sets", "warmup")
        found = {key: tuple(absolute(text, folder) for text in getattr(self, key)) for key in keys}
        return self.model_copy(update=found)


class OutputConfig(_Strict):
    """Answer length: `natural` stops where the model stops, `fixed` always writes `max_tokens`."""

    length: Literal["natural", "fixed"] = "fixed"
    max_tokens: int = Field(default=64, ge=1)


class SamplingConfig(_Strict):
    """How the generator samples; 0 is greedy."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)


class ClosedLoad(_Strict):
    """`users` users, each sending its next request when its last is answered."""

    kind: Literal["closed"]
    users: int = Field(default=4, ge=1)


_Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ConstantLoad(_Strict):
    """Requests arrive evenly spaced, `rate_hz` a second, whether or not earlier ones are answered."""

    kind: Literal["constant"]
    rate_hz: _Rate


class PoissonLoad(_Strict):
    """Requests arrive at random, `rate_hz` a second, whether or not earlier ones are answered."""

    kind: Literal["poisson"]
    rate_hz: _Rate


class GammaLoad(_Strict):
    """Gamma gaps, as in vLLM bench: `burstiness` 1 is Poisson, less is burstier, more is steadier."""

    kind: Literal["gamma"]
    rate_hz: _Rate
    burstiness: _Rate = 1.0


class RampLoad(_Strict):
    """Requests arrive at random, at a rate that goes from `start_hz` to `end_hz` over each trial."""

    kind: Literal["ramp"]
    start_hz: _Rate
    end_hz: _Rate


class TraceLoad(_Strict):
    """Recorded arrivals and lengths from a CSV file, relative to the scenario; its gaps times `time_scale`.

    Each block takes the next `requests_per_trial` rows. Lengths are cut to what `engine.max_model_len` allows.
    """

    kind: Literal["trace"]
    file: Path
    time_scale: _Rate = 1.0
    limit: int | None = Field(default=None, ge=1)


Load = ClosedLoad | ConstantLoad | PoissonLoad | GammaLoad | RampLoad | TraceLoad


class SloConfig(_Strict):
    """What a request must meet to count as good, in ms."""

    ttft_ms: float | None = Field(default=None, gt=0)
    tpot_ms: float | None = Field(default=None, gt=0)
    e2el_ms: float | None = Field(default=None, gt=0)


class MetersConfig(_Strict):
    """How energy is measured and what it costs.

    The idle window, after a cool-down, gives the idle power; unset: 10 s after 5 s where power is measured, else none.
    """

    idle_seconds: float | None = Field(default=None, ge=0, le=600)
    cooldown_seconds: float | None = Field(default=None, ge=0, le=600)
    price_per_kwh: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    gco2e_per_kwh: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class UntilConfig(_Strict):
    """Add blocks until every arm's tax on `metric` is known to within `half_width`, or `max_minutes` are over."""

    metric: Literal[
        "ttft_mean", "ttft_p50", "ttft_p90", "tpot_mean", "tpot_p50", "tpot_p90",
        "e2el_mean", "e2el_p50", "e2el_p90", "output_tokens_per_s",
    ]  # fmt: skip
    half_width: Annotated[Percent, Field(gt=0, le=1)]
    max_minutes: float = Field(default=30, gt=0, allow_inf_nan=False)
    min_blocks: int = Field(default=8, ge=2)
    max_blocks: int = Field(default=200, ge=2)

    @model_validator(mode="after")
    def _blocks_fit(self) -> "UntilConfig":
        if self.min_blocks > self.max_blocks:
            raise ValueError("min_blocks must not exceed max_blocks")
        return self


class SweepConfig(_Strict):
    """Settings that `alignment-tax sweep` varies: `grid: {GUARD.KEY: [VALUE, ...]}`.

    Each guard of the grid by itself; with `stack` the whole stack of these guards, over all combinations.
    """

    grid: dict[str, list[Any]] = {}
    stack: list[str] = []


class Scenario(_Strict):
    """Everything that a run is made of.

    `system` begins every conversation that has no system turn of its own. `judge_answers`: after each trial, judge
    whether the answers refuse and whether they are unsafe. `isolation`: `shared`, one engine with every guard
    resident in every arm; `dedicated`, an engine an arm, with that arm's guards and the KV pool that they leave.
    `verdicts: recorded`: guards do all their work, their verdicts are kept and every text passes, as is needed where
    weights are dummies and verdicts noise.
    """

    name: str = Field(min_length=1, max_length=80, pattern=r"^[\w.+ -]*\w[\w.+ -]*$")
    model: str = "embedded"
    engine: dict[str, Any] = {}
    prompts: PromptsConfig
    system: str | None = None
    judge_answers: bool = True
    requests_per_trial: int = Field(default=16, ge=1)
    warmup_requests: int = Field(default=4, ge=1)
    output: OutputConfig = OutputConfig()
    sampling: SamplingConfig = SamplingConfig()
    load: Annotated[Load, Field(discriminator="kind")] = ClosedLoad(kind="closed")
    guards: dict[str, GuardConfig] = Field(min_length=1)
    verdicts: Literal["enforced", "recorded"] = "enforced"
    arms: dict[str, list[str]] = {}
    attribution: Attribution = "none"
    blocks: int = Field(default=6, ge=1)
    isolation: Literal["shared", "dedicated"] = "shared"
    until: UntilConfig | None = None
    sweep: SweepConfig | None = None
    seed: int = Field(default=1, ge=0, lt=2**31)
    slo: SloConfig = SloConfig()
    meters: MetersConfig = MetersConfig()
    keep_text: bool = False

    @model_validator(mode="before")
    @classmethod
    def _guards_at_once(cls, stated: Any) -> Any:
        return with_parallel(stated) if isinstance(stated, dict) else stated

    @model_validator(mode="after")
    def _arms_name_guards(self) -> "Scenario":
        if BASELINE in self.guards:
            raise ValueError(f"guards.{BASELINE}: this is the baseline's name: rename the guard")
        for arm, names in self.arms.items():
            if arm == BASELINE and names:
                raise ValueError(f"arms.{BASELINE} is the baseline: it takes no guards")
            for name in names:
                if name not in self.guards:
                    known = ", ".join(self.guards)
                    raise ValueError(f"arms.{arm} names the unknown guard `{name}`: there are {known}")
        check_members(self.guards)
        self._no_guard_acts_by_itself()
        self.stacks()  # refuses an attribution that would take too many arms
        return self

    @model_validator(mode="after")
    def _arms_are_not_interleaved(self) -> "Scenario":
        if self.isolation == "dedicated" and self.until is not None:
            raise ValueError("`isolation: dedicated` runs one arm after the other: `until` needs blocks of all arms")
        return self

    def alone(self, arm: str) -> "Scenario":
        """The same scenario with just this arm and its guards."""
        named = self.stacks()[arm]
        kept = {guard for name in named for guard in (name, *members(self.guards[name]))}
        guards = {name: config for name, config in self.guards.items() if name in kept}
        arms = {} if arm == BASELINE else {arm: list(named)}
        return self.model_copy(update={"guards": guards, "arms": arms, "attribution": "none"})

    def _no_guard_acts_by_itself(self) -> None:
        own = next((name for name, guard in self.guards.items() if isinstance(guard, CustomConfig)), None)
        if self.verdicts == "recorded" and own is not None:
            raise ValueError(f"guards.{own}: a custom guard acts by itself: leave `verdicts: recorded` out")

    def stacks(self) -> dict[str, tuple[str, ...]]:
        """Guard names by arm, the baseline first. Without `arms`: each guard alone, then all together.

        Of "all together", a parallel guard stands for those that it names: none judges twice.
        `attribution` adds the subsets of stacks that it needs.
        """
        arms = {arm: tuple(names) for arm, names in self.arms.items() if arm != BASELINE}
        if not arms:
            arms = {arm: tuple(names) for arm, names in _each_and_all(self.guards, self.guards).items()}
        return with_coalitions({BASELINE: (), **arms}, self.attribution)

    def only(self, guards: list[str]) -> "Scenario":
        """The same scenario with just these guards, each alone and all together.

        Raises:
            UserError: a name that the scenario does not define, or more guards than `attribution` takes.
        """
        for name in guards:
            if name not in self.guards:
                raise UserError(
                    f"--guards: no guard `{name}` in scenario {self.name}: there are {', '.join(self.guards)}"
                )
        kept = {name: self.guards[name] for asked in guards for name in (*members(self.guards[asked]), asked)}
        arms = _each_and_all(guards, kept) if len(kept) > len(guards) else {}
        if not guards:
            raise UserError(f"--guards: names no guard: there are {', '.join(self.guards)}")
        found = self.model_copy(update={"guards": kept, "arms": arms})
        try:
            found.stacks()
        except ValueError as error:
            raise UserError(f"--guards: {error}") from None
        return found


def with_parallel(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Arms stated as `{guards: [a, b], parallel: true}` become stacks of one parallel guard, "a | b"."""
    arms, guards = stated.get("arms"), stated.get("guards")
    if not isinstance(arms, dict) or not isinstance(guards, dict):
        return dict(stated)
    arms, guards = dict(arms), dict(guards)
    for arm, said in arms.items():
        if not isinstance(said, dict):
            continue
        names = said.get("guards")
        if (
            set(said) - {"guards", "parallel"}
            or not isinstance(names, list)
            or not all(isinstance(n, str) for n in names)
        ):
            raise ValueError(f"arms.{arm}: give a list of guards, or `guards: [...]` and `parallel: true`")
        arms[arm] = names
        if said.get("parallel") is True:
            together = " | ".join(names)
            guards[together] = {"kind": "parallel", "guards": names}
            arms[arm] = [together]
    return {**stated, "arms": arms, "guards": guards}


def _each_and_all(names: Iterable[str], guards: Mapping[str, GuardConfig]) -> dict[str, list[str]]:
    arms = {name: [name] for name in names}
    inside = {member for name in arms for member in members(guards[name])}
    together = [name for name in arms if name not in inside]
    return arms | ({"all": together} if len(together) > 1 else {})


def load_scenario(path: Path) -> Scenario:
    """Read and validate a scenario file; paths of prompts, and of models that begin with `./`, become absolute.

    Raises:
        UserError: the file, the key and the cure, in one line.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such scenario file: see scenarios/ for examples") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a scenario is a map of keys: see scenarios/quickstart.yaml")
    try:
        return _absolute(Scenario.model_validate(_anchored(raw, path.resolve().parent)), path.resolve().parent)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_problem(error)}") from error


def _anchored(stated: Any, folder: Path) -> Any:
    """The same statement with every `model: ./...`, the guards' too, under the scenario's folder."""
    if isinstance(stated, list):
        return [_anchored(one, folder) for one in stated]
    if not isinstance(stated, dict):
        return stated
    found = {key: _anchored(value, folder) for key, value in stated.items()}
    model = found.get("model")
    if isinstance(model, str) and model.startswith(("./", "../")) and (folder / model).is_dir():
        found["model"] = str((folder / model).resolve())
    return found


def _absolute(scenario: Scenario, folder: Path) -> Scenario:
    update: dict[str, Any] = {"prompts": scenario.prompts.under(folder)}
    if isinstance(scenario.load, TraceLoad):
        update["load"] = scenario.load.model_copy(update={"file": folder / scenario.load.file})
    return scenario.model_copy(update=update)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"]) or "scenario"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key: remove it or check its spelling"
    elif first["type"] == "missing":
        message = "missing: add it"
    return f"{key}: {message}{more}"
