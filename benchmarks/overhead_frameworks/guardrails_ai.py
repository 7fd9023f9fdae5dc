"""The keyword guard in guardrails-ai: a validator of our own, registered in process; a whole `Guard.validate`.

Its anonymous metrics and its tracing are off: with tracing on, as it comes, a check costs about twice as much.
"""

import re
from collections.abc import Sequence
from typing import Any

from guardrails import Guard, settings
from guardrails.validators import FailResult, PassResult, ValidationResult, Validator, register_validator

from benchmarks.overhead_frameworks.child import Check, serve


@register_validator(name="bench/keywords", data_type="string")
class Keywords(Validator):
    """Fails a text that holds any of the words."""

    def __init__(self, words: Sequence[str], **options: Any) -> None:
        super().__init__(words=list(words), **options)
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)

    def _validate(self, value: str, metadata: dict[str, Any]) -> ValidationResult:
        return FailResult(error_message="banned word") if self._pattern.search(value) else PassResult()


def prepare(words: Sequence[str]) -> Check:
    settings.disable_tracing = True
    guard = Guard().use(Keywords(words, on_fail="noop"))
    # Making a guard reads the settings anew and turns its metrics on again.
    guard.configure(allow_metrics_collection=False)
    settings.rc.enable_metrics = False
    return lambda texts: [not guard.validate(text).validation_passed for text in texts]


serve("guardrails-ai", prepare)
