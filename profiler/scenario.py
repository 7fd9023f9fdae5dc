"""A scenario: what is run, on what, under which load, guarded how. Read from YAML, validated once."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from guards.config import GuardConfig
from profiler.errors import UserError

BASELINE = "none"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptsConfig(_Strict):
    """Prompt files (JSON Lines, relative to the scenario) and the mix that is drawn from them."""

    benign: Path
    borderline: Path | None = None
    harmful: Path
    warmup: Path
    harmful_fraction: float = Field(default=0.2, ge=0, le=1)
    borderline_fraction: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _fractions_fit(self) -> "PromptsConfig":
        if self.harmful_fraction + self.borderline_fraction > 1:
            raise ValueError("harmful_fraction + borderline_fraction must not exceed 1")
        return self


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


class PoissonLoad(_Strict):
    """Requests arrive at random, `rate_hz` a second, whether or not earlier ones are answered."""

    kind: Literal["poisson"]
    rate_hz: float = Field(gt=0)


class SloConfig(_Strict):
    """What a request must meet to count as good, in ms."""

    ttft_ms: float | None = Field(default=None, gt=0)
    tpot_ms: float | None = Field(default=None, gt=0)
    e2el_ms: float | None = Field(default=None, gt=0)


class Scenario(_Strict):
    """Everything that a run is made of."""

    name: str = Field(min_length=1)
    model: str = "embedded"
    engine: dict[str, Any] = {}
    prompts: PromptsConfig
    requests_per_trial: int = Field(default=16, ge=1)
    warmup_requests: int = Field(default=4, ge=1)
    output: OutputConfig = OutputConfig()
    sampling: SamplingConfig = SamplingConfig()
    load: Annotated[ClosedLoad | PoissonLoad, Field(discriminator="kind")] = ClosedLoad(kind="closed")
    guards: dict[str, GuardConfig] = Field(min_length=1)
    arms: dict[str, list[str]] = {}
    blocks: int = Field(default=6, ge=1)
    seed: int = 1
    slo: SloConfig = SloConfig()
    keep_text: bool = False

    @model_validator(mode="after")
    def _arms_name_guards(self) -> "Scenario":
        for arm, names in self.arms.items():
            if arm == BASELINE and names:
                raise ValueError(f"arms.{BASELINE} is the baseline: it takes no guards")
            for name in names:
                if name not in self.guards:
                    known = ", ".join(self.guards)
                    raise ValueError(f"arms.{arm} names the unknown guard `{name}`: there are {known}")
        return self

    def stacks(self) -> dict[str, tuple[str, ...]]:
        """Guard names by arm, the baseline first. Without `arms`: each guard alone, then all together."""
        arms = {arm: tuple(names) for arm, names in self.arms.items() if arm != BASELINE}
        if not arms:
            arms = {name: (name,) for name in self.guards}
            if len(self.guards) > 1:
                arms["all"] = tuple(self.guards)
        return {BASELINE: (), **arms}

    def only(self, guards: list[str]) -> "Scenario":
        """The same scenario with just these guards, each alone and all together.

        Raises:
            UserError: a name that the scenario does not define.
        """
        for name in guards:
            if name not in self.guards:
                raise UserError(
                    f"--guards: no guard `{name}` in scenario {self.name}: there are {', '.join(self.guards)}"
                )
        return self.model_copy(update={"guards": {name: self.guards[name] for name in guards}, "arms": {}})


def load_scenario(path: Path) -> Scenario:
    """Read and validate a scenario file; prompt paths become absolute.

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
        return _absolute(Scenario.model_validate(raw), path.resolve().parent)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_problem(error)}") from error


def _absolute(scenario: Scenario, folder: Path) -> Scenario:
    files = {key: folder / value for key, value in scenario.prompts.model_dump().items() if isinstance(value, Path)}
    return scenario.model_copy(update={"prompts": scenario.prompts.model_copy(update=files)})


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
