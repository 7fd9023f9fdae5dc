"""NeMo Guardrails: the input rails of a configuration for prompts, its output rails for answers.

    options: {config: my_rails/}

| a check says | here                                                                          |
|--------------|-------------------------------------------------------------------------------|
| passed       | allow, p(unsafe) 0                                                            |
| modified     | rewrite (prompt), redact (answer); no p(unsafe), since nothing says how bad    |
| blocked      | block, p(unsafe) 1; the category is the rail                                  |

The rails see the conversation and judge its last turn. A rail that breaks is "blocked" to the framework; here it is
an error. The framework's work is done in a thread of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from guards.loading import GuardConfigError
from guards.scorers.frameworks.finding import Finding, as_mapping
from guards.scorers.frameworks.loop_thread import LoopThread
from guards.scorers.frameworks.packages import Options, read_options
from guards.subject import Side

# What either of its engines says when a rail has broken (`INTERNAL_ERROR_MESSAGE` in its sources).
BROKEN = "I'm sorry, an internal error has occurred."


class _Options(Options):
    config: str


def judge(options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function that runs the rails."""
    from nemoguardrails import LLMRails, RailsConfig
    from nemoguardrails.rails.llm.options import RailType

    path = Path(read_options(_Options, options, where).config)
    if not path.exists():
        raise GuardConfigError(f"{where}.config: no {path}: name the folder, or the YAML file, of the rails")
    rails, thread = LLMRails(RailsConfig.from_path(str(path))), LoopThread("nemo-guardrails")
    kinds = {"prompt": RailType.INPUT, "answer": RailType.OUTPUT}

    async def check(text: str, conversation: list[dict[str, str]], side: Side) -> dict[str, Any]:
        result = await thread.run(rails.check_async(conversation, rail_types=[kinds[side]]))
        judged = conversation[-1]
        return as_mapping(finding_of(result), judged["content"], [judged], side)

    return check


def finding_of(result: Any) -> Finding:
    """A `RailsResult` as a finding.

    Raises:
        RuntimeError: a rail has broken.
    """
    status = str(result.status.value)
    if result.content == BROKEN:
        raise RuntimeError(f"NeMo Guardrails: {result.rail or 'a rail'} has broken")
    if status == "blocked":
        return Finding(stop=True, p_unsafe=1.0, categories=(result.rail,) if result.rail else ())
    if status == "modified":
        return Finding(stop=False, changed=result.content)
    if status != "passed":
        raise RuntimeError(f"NeMo Guardrails: unknown status {status[:20]!r}")
    return Finding(stop=False, p_unsafe=0.0)
