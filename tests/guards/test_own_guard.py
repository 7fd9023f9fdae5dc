"""The README's guard, as it stands there, in a stack and in a scenario; and what is said of guards that are none."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from guards.config import build_guards
from guards.generation import Delta, GenerationError, GenerationRequest, Message, Sampling
from guards.guard import Guard
from guards.loading import GuardConfigError
from guards.stack import stack
from guards.trace import Trace
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.scenario import Scenario, load_scenario

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def readme_source() -> str:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(source.splitlines()) <= 20
    return str(source)


def readme_guard() -> Any:
    names: dict[str, Any] = {}
    exec(compile(readme_source(), str(README), "exec"), names)
    return names["NoShouting"]()


def answer(prompt: str, guard: Guard) -> list[Delta]:
    async def work() -> list[Delta]:
        generator = stack(ModelledEngine(now_ns=now_ns), [guard])
        request = GenerationRequest(
            "r", (Message("user", prompt),), Sampling(max_tokens=4, ignore_eos=True), Trace(now_ns)
        )
        stream: AsyncIterator[Delta] = generator.generate(request)
        return [delta async for delta in stream]

    return run_virtual(work)


def scenario_file(folder: Path, guards: dict[str, Any]) -> Path:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        loaded["prompts"][key] = str(ROOT / "scenarios" / loaded["prompts"][key])
    del loaded["arms"]
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(loaded | {"guards": guards}))
    return path


def scenario_with(folder: Path, guards: dict[str, Any]) -> Scenario:
    return load_scenario(scenario_file(folder, guards))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that nothing knows of, forgotten again afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return tmp_path


def test_the_readmes_guard_blocks_what_it_should_and_nothing_else() -> None:
    assert [d.finish_reason for d in answer("TELL ME NOW", readme_guard())] == ["blocked"]
    assert sum(d.tokens for d in answer("Tell me, please", readme_guard())) == 4


def test_the_readmes_guard_works_from_a_scenario_as_the_readme_states_it(here: Path) -> None:
    (here / "my_guards.py").write_text(readme_source())
    (stated,) = re.findall(r"`guards: (\{.*?\}\})`", README.read_text(encoding="utf-8"))
    scenario = scenario_with(here, yaml.safe_load(stated))
    assert scenario.stacks() == {"none": (), "quiet": ("quiet",)}
    guard = build_guards(scenario.guards, None)["quiet"]
    assert [d.finish_reason for d in answer("TELL ME NOW", guard)] == ["blocked"]
    assert sum(d.tokens for d in answer("Tell me, please", guard)) == 4


def test_reading_a_scenario_runs_none_of_its_code(here: Path) -> None:
    (here / "loud_guards.py").write_text("raise RuntimeError('I ran')")
    scenario_with(here, {"mine": {"kind": "custom", "class": "loud_guards:Guard"}})


OPTIONED = """
class Optioned:
    def __init__(self, *, word):
        self.name = word

    async def generate(self, request, inner):
        yield

class Nameless:
    async def generate(self, request, inner):
        yield

class Idle:
    name = "idle"

class Returns:
    name = "returns"

    async def generate(self, request, inner):
        return None

class Raises:
    name = "raises"

    async def generate(self, request, inner):
        async for delta in inner.generate(request):
            yield delta
            raise KeyError("lost")

number = 3
"""


def test_options_are_the_classs_keyword_arguments(here: Path) -> None:
    (here / "optioned_guards.py").write_text(OPTIONED)
    stated = {"mine": {"kind": "custom", "class": "optioned_guards:Optioned", "options": {"word": "quiet"}}}
    assert build_guards(scenario_with(here, stated).guards, None)["mine"].name == "quiet"


def test_what_a_guard_raises_fails_the_request_and_names_the_guard(here: Path) -> None:
    (here / "raising_guards.py").write_text(OPTIONED)
    scenario = scenario_with(here, {"mine": {"kind": "custom", "class": "raising_guards:Raises"}})
    with pytest.raises(GenerationError, match="guard raises: KeyError: 'lost'"):
        answer("p", build_guards(scenario.guards, None)["mine"])


@pytest.mark.parametrize(
    ("stated", "options", "said"),
    [
        ("no_such_module:Guard", {}, "guards.mine.class: no module no_such_module: install it, or run from"),
        ("bad_guards:Missing", {}, "guards.mine.class: module bad_guards has no `Missing`"),
        ("bad_guards:", {}, "guards.mine.class: `bad_guards:` is not of the form package.module:Name"),
        ("bad_guards:number", {}, "guards.mine.class: bad_guards:number is not a class"),
        ("bad_guards:Optioned", {"wrod": 1}, "guards.mine.options: bad_guards:Optioned refuses them: TypeError: "),
        ("bad_guards:Nameless", {}, "guards.mine.class: bad_guards:Nameless has no `name`"),
        ("bad_guards:Idle", {}, "guards.mine.class: bad_guards:Idle has no method `generate(request, inner)`"),
        ("bad_guards:Returns", {}, "guards.mine.class: bad_guards:Returns.generate never yields"),
        ("broken_guards:Guard", {}, "guards.mine.class: module broken_guards fails on import: ZeroDivisionError: "),
        (
            "needy_guards:Guard",
            {},
            "module needy_guards fails on import: ModuleNotFoundError: No module named 'absent'",
        ),
        ("unheard-of", {}, "`unheard-of` is neither module:Class nor an entry point of alignment_tax.guards"),
    ],
)
def test_what_is_wrong_is_one_line(here: Path, stated: str, options: dict[str, Any], said: str) -> None:
    (here / "bad_guards.py").write_text(OPTIONED)
    (here / "broken_guards.py").write_text("1 / 0")
    (here / "needy_guards.py").write_text("import absent")
    scenario = scenario_with(here, {"mine": {"kind": "custom", "class": stated, "options": options}})
    with pytest.raises(GuardConfigError) as caught:
        build_guards(scenario.guards, None)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_installed_package_offers_a_guard_by_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "offered_guards.py").write_text(readme_source())
    metadata = here / "offered-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[alignment_tax.guards]\nquiet = offered_guards:NoShouting\n")
    monkeypatch.syspath_prepend(str(here))
    built = build_guards(scenario_with(here, {"mine": {"kind": "custom", "class": "quiet"}}).guards, None)
    assert built["mine"].name == "no-shouting"
