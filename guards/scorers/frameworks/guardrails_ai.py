"""guardrails-ai: its validators, from the hub (`guardrails.hub:Name`, once installed) or of the user's own.

    options: {validators: [{class: 'guardrails.hub:RegexMatch', on_fail: exception, options: {regex: '...'}}]}

| on_fail            | outcome                               | here                                                  |
|--------------------|---------------------------------------|-------------------------------------------------------|
| exception          | ValidationError                       | block                                                 |
| filter, refrain    | failed, no text left                  | block                                                 |
| fix                | passed with another text              | rewrite (prompt), redact (answer)                     |
| noop               | failed, the text as it was            | flag                                                  |
| reask, fix_reask   | asks the model again, which a scorer cannot: refused                                          |

p(unsafe) is 1 where a validator failed, else 0. Its anonymous metrics and its tracing are off, and it remembers one
text at a time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from guards.loading import load_object
from guards.scorers.frameworks.finding import Finding, Turns, as_mapping
from guards.scorers.frameworks.packages import Options, read_options
from guards.subject import Side


class _Validator(Options):
    class_: str = Field(alias="class")
    on_fail: Literal["exception", "filter", "refrain", "fix", "noop"] = "exception"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("on_fail", mode="before")
    @classmethod
    def _no_reask(cls, on_fail: object) -> object:
        if on_fail in ("reask", "fix_reask"):
            raise ValueError(f"`{on_fail}` asks the model again, which a scorer cannot: use fix, or exception")
        return on_fail


class _Options(Options):
    validators: tuple[_Validator, ...] = Field(min_length=1)


def judge(options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function that validates a text."""
    from guardrails import Guard, settings
    from guardrails.errors import ValidationError

    stated = read_options(_Options, options, where)
    classes = [load_object(one.class_, f"{where}.validators.{i}.class") for i, one in enumerate(stated.validators)]
    guard = Guard(history_max_length=1)
    guard.configure(allow_metrics_collection=False)
    # After the guard, which reads the user's settings anew.
    settings.rc.enable_metrics, settings.disable_tracing = False, True
    made = [make(on_fail=one.on_fail, **one.options) for make, one in zip(classes, stated.validators, strict=True)]
    guard.use(*made)

    def validate(text: str, conversation: Turns, side: Side) -> dict[str, Any]:
        try:
            found = finding_of(guard.validate(text), text)
        except ValidationError:
            # Its words quote the validator's, and so perhaps the text.
            found = Finding(stop=True, p_unsafe=1.0)
        return as_mapping(found, text, conversation, side)

    return validate


def finding_of(outcome: Any, text: str) -> Finding:
    """A `ValidationOutcome` as a finding.

    Raises:
        RuntimeError: the validation itself has failed.
    """
    if outcome.error:
        raise RuntimeError("guardrails-ai could not validate the text")
    failed = [one for one in outcome.validation_summaries or () if one.validator_status == "fail"]
    left = outcome.validated_output
    return Finding(
        stop=not isinstance(left, str),
        p_unsafe=float(bool(failed) or not outcome.validation_passed),
        categories=tuple(dict.fromkeys(one.validator_name for one in failed)),
        changed=left if isinstance(left, str) else None,
        spans=tuple((span.start, span.end, one.validator_name) for one in failed for span in one.error_spans or ()),
        flag=not outcome.validation_passed,
    )
