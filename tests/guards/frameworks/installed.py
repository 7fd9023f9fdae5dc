"""Whether a framework is there to be tested against: `requirements/bench-*.txt` name the versions."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from guards.check import Check, Policy, check
from guards.scorers.callable import CallableScorer
from guards.scorers.frameworks import Package, framework_function
from guards.subject import Message, Side, Subject

DISTRIBUTIONS = {"nemo-guardrails": "nemoguardrails"}


def need(package: Package) -> None:
    """Skip the module where the package is not installed, and say so."""
    try:
        version(DISTRIBUTIONS.get(package, package))
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed", allow_module_level=True)


def judged(
    package: Package,
    options: dict[str, Any],
    *texts: str,
    side: Side = "prompt",
    policy: Policy | None = None,
    before: tuple[Message, ...] = (),
) -> list[Check]:
    """Several texts at once, each the last turn after `before`."""
    role = "user" if side == "prompt" else "assistant"

    async def work() -> list[Check]:
        scorer = CallableScorer(framework_function(package, options, "guards.mine.scorer"))
        users = [turn.content for turn in before if turn.role == "user"]
        subjects = [
            Subject("\n".join([*users, text]) if side == "prompt" else text, side, (*before, Message(role, text)))
            for text in texts
        ]
        checks = (check(scorer, subject, policy or Policy(on_error="closed")) for subject in subjects)
        return list(await asyncio.gather(*checks))

    return asyncio.run(work())
