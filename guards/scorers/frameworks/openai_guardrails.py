"""openai-guardrails: a bundle of its checks, from a file or as it stands.

    options: {config: guardrails.json}
    options: {config: {guardrails: [{name: Keyword Filter, config: {keywords: [...]}}]}, base_url: 'http://...'}

| a check says                              | here                              |
|-------------------------------------------|-----------------------------------|
| tripwire triggered                        | block                             |
| not triggered, but `checked_text` differs | rewrite (prompt), redact (answer) |
| `confidence` (checks by a model)          | p(unsafe), else 1 or 0            |

A check that fails counts as safe to the framework; here it is an error. Checks by a model use the key in
OPENAI_API_KEY, and `base_url` if it is given.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guards.loading import GuardConfigError
from guards.scorers.frameworks.finding import Finding, as_mapping
from guards.scorers.frameworks.loop_thread import LoopThread
from guards.scorers.frameworks.packages import Options, read_options
from guards.subject import Side


class _Options(Options):
    config: str | dict[str, Any]
    base_url: str | None = None


@dataclass(frozen=True)
class Context:
    """What the framework's checks may ask of the application."""

    guardrail_llm: Any
    conversation_history: list[dict[str, str]]

    def get_conversation_history(self) -> list[dict[str, str]]:
        """The turns so far."""
        return self.conversation_history


def judge(options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function that runs the bundle's checks, in a thread of its own."""
    from guardrails import instantiate_guardrails, load_config_bundle, run_guardrails

    logging.getLogger("guardrails").setLevel(logging.CRITICAL)  # it tells of every verdict, and quotes errors
    stated = read_options(_Options, options, where)
    checks = instantiate_guardrails(load_config_bundle(_source(stated.config, f"{where}.config")))
    client = _client(stated.base_url)
    if client is None and (asking := [c.definition.name for c in checks if _asks_a_model(c)]):
        raise GuardConfigError(f"{where}: `{asking[0]}` asks a model: set OPENAI_API_KEY in the environment")
    thread = LoopThread("openai-guardrails")

    async def run(text: str, conversation: list[dict[str, str]], side: Side) -> dict[str, Any]:
        results = await thread.run(_results(Context(client, conversation), text))
        return as_mapping(finding_of(results, text), text, conversation, side)

    async def _results(context: Context, text: str) -> Any:
        try:
            return await run_guardrails(
                context, text, "text/plain", checks, suppress_tripwire=True, raise_guardrail_errors=True
            )
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    return run


def _source(config: str | dict[str, Any], where: str) -> Path | dict[str, Any]:
    if isinstance(config, dict):
        return config
    if not Path(config).is_file():
        raise GuardConfigError(f"{where}: no file {config}: name a bundle's JSON file, or write the bundle here")
    return Path(config)


def _client(base_url: str | None) -> Any:
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=base_url) if os.environ.get("OPENAI_API_KEY") else None


def _asks_a_model(check: Any) -> bool:
    metadata = check.definition.metadata
    return metadata is not None and metadata.engine in ("LLM", "API")


def finding_of(results: Sequence[Any], text: str) -> Finding:
    """The checks' `GuardrailResult`s as one finding.

    Raises:
        RuntimeError: a check has not worked.
    """
    for one in results:
        if one.execution_failed or "error" in one.info:
            raise RuntimeError(f"openai-guardrails: {_name(one)} has not worked")
    tripped = [one for one in results if one.tripwire_triggered]
    changed = {one.info["checked_text"] for one in results if one.info.get("checked_text", text) != text}
    return Finding(
        # Of two changed texts neither holds the other's change.
        stop=bool(tripped) or len(changed) > 1,
        p_unsafe=max((_p(one) for one in results), default=0.0),
        categories=tuple(dict.fromkeys(_name(one) for one in tripped)),
        changed=next(iter(changed)) if len(changed) == 1 and not tripped else None,
    )


def _p(result: Any) -> float:
    confidence = result.info.get("confidence")
    return float(result.tripwire_triggered) if confidence is None else float(confidence)


def _name(result: Any) -> str:
    return str(result.info.get("guardrail_name", "a check"))
