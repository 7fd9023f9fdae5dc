"""The committed JSON Schema and what is printed: neither changes without the other."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from profiler.cli import main
from profiler.report.schema import VERSION, schema_text
from tests.report.documents import RUNS, printed
from tests.report.more_documents import MORE

SCHEMA: dict[str, Any] = json.loads(schema_text())
OTHERS = ("mixture", "gate", "compare", "scale")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A document of each kind, by what it is of."""
    folder = tmp_path_factory.mktemp("runs")
    runs = {name: make(folder / name.replace(" ", "-")) for name, make in RUNS.items()}
    guarded, limits = runs["guards"], ("--max", "e2el_mean +10%", "--min", "block_recall 50%")
    sizes = ("--size", "g=1B", "--size", "i=2B", "--size", "l=4B")
    return {
        **{name: printed("report", run) for name, run in runs.items()},
        **{name: document(folder / name.replace(" ", "-")) for name, document in MORE.items()},
        "mixture": printed("report", guarded, "--harmful", "2%"),
        "gate": printed("gate", guarded, *limits),
        "scale": printed("report", guarded, runs["invalid"], runs["stacks"], *sizes),
        "compare": printed("compare", guarded, runs["attribution"]),
    }


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(str(VERSION))


@pytest.mark.parametrize("name", [*RUNS, *OTHERS, *MORE])
def test_what_is_printed_is_as_the_schema_says(documents: dict[str, Any], name: str) -> None:
    errors = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(SCHEMA).iter_errors(documents[name])]
    assert errors == []
    assert documents[name]["schema"] == VERSION


def places(schema: Any, document: Any, at: str) -> Iterator[str]:
    """Where in the schema the document's keys are described."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        yield from places(SCHEMA["$defs"][name], document, name)
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if Draft202012Validator({"$defs": SCHEMA["$defs"], **one}).is_valid(document):
            yield from places(one, document, at)
    if "if" in schema:
        holds = Draft202012Validator(schema["if"]).is_valid(document)
        yield from places(schema["then" if holds else "else"], document, at)
    if isinstance(document, list):
        for item in document:
            yield from places(schema.get("items"), item, f"{at}[]")
    if isinstance(document, dict):
        for key, value in document.items():
            if (known := schema.get("properties", {}).get(key)) is not None:
                yield f"{at}.{key}"
                yield from places(known, value, f"{at}.{key}")
            else:
                yield from places(schema.get("additionalProperties"), value, f"{at}.*")


def described(schema: Any, at: str) -> Iterator[str]:
    """Every key that the schema knows, as `places` names them."""
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from described(one, at)
    for key, known in schema.get("properties", {}).items():
        yield f"{at}.{key}"
        yield from described(known, f"{at}.{key}")
    for part, sign in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(part), dict):
            yield from described(schema[part], at + sign)


def test_the_schema_knows_no_key_that_is_never_printed(documents: dict[str, Any]) -> None:
    seen = {place for document in documents.values() for place in places(SCHEMA, document, "")}
    known = {place for name, one in SCHEMA["$defs"].items() for place in described(one, name)}
    assert known - seen == set()


@pytest.mark.parametrize("name", ["metered", "sweep", "saturation", *OTHERS[1:], *MORE])
def test_a_key_that_is_lost_or_new_is_refused(documents: dict[str, Any], name: str) -> None:
    lost, new = copy.deepcopy(documents[name]), copy.deepcopy(documents[name])
    del lost["schema"]
    new["unheard_of"] = 1
    assert not any(Draft202012Validator(SCHEMA).is_valid(one) for one in (lost, new))


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["report", "--schema"])
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_it_is_shipped() -> None:
    root = Path(__file__).parents[2]
    assert "report/schema/*.json" in (root / "setup.py").read_text()
