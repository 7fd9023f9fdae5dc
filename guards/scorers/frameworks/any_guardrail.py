"""any-guardrail: one of its guards by name.

    options: {guardrail: prompt_guard, create: {model_id: '...'}, validate: {}}

| `GuardrailOutput`       | here                                                                             |
|-------------------------|----------------------------------------------------------------------------------|
| `valid` false           | block, unless `action` names one of our actions                                  |
| `modified_text`         | rewrite (prompt), redact (answer); where not valid, kept for the guard's `action` |
| `score`                 | p(unsafe); where there is none, 0 if valid, else 1                               |
| `categories`, `spans`   | those triggered, where not valid                                                 |

An answer is judged beside the last user turn where the guard takes two texts, else alone. Keys come from the
environment variables that the guard itself reads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from guards.scorers.frameworks.finding import Finding, Turns, as_mapping
from guards.scorers.frameworks.packages import Options, read_options
from guards.subject import Side
from guards.verdict import Action


class _Options(Options):
    guardrail: str
    create: dict[str, Any] = Field(default_factory=dict)
    arguments: dict[str, Any] = Field(default_factory=dict, alias="validate")


def judge(options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function that asks the guard."""
    from any_guardrail import AnyGuardrail, EvaluateArgumentError, GuardrailName

    stated = read_options(_Options, options, where)
    name = GuardrailName(stated.guardrail)
    guard = AnyGuardrail.create(name, **stated.create)

    def evaluate(text: str, conversation: Turns, side: Side) -> dict[str, Any]:
        asked = [turn["content"] for turn in conversation if turn["role"] == "user"]
        if side == "answer" and asked:
            try:
                output = AnyGuardrail.evaluate(name, guard, asked[-1], text, **stated.arguments)
            except EvaluateArgumentError:  # it takes one text only
                output = AnyGuardrail.evaluate(name, guard, text, **stated.arguments)
        else:
            output = AnyGuardrail.evaluate(name, guard, text, **stated.arguments)
        return as_mapping(finding_of(output), text, conversation, side)

    return evaluate


def finding_of(output: Any) -> Finding:
    """A `GuardrailOutput` as a finding."""
    triggered = [] if output.valid else [one.name for one in output.categories if one.triggered]
    spans = [] if output.valid else output.spans or []
    return Finding(
        stop=not output.valid and not _may_pass(str(output.action).lower(), output.modified_text),
        p_unsafe=float(not output.valid) if output.score is None else output.score,
        categories=tuple(triggered),
        changed=output.modified_text,
        spans=tuple((span.start, span.end, span.label or "") for span in spans),
        flag=not output.valid,
    )


def _may_pass(action: str, modified: str | None) -> bool:
    """Whether the guard itself asks for less than a block. Its actions are the provider's own words."""
    return action == Action.FLAG or (action in (Action.REWRITE, Action.REDACT) and modified is not None)
