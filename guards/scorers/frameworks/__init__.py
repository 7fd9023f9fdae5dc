"""Guards of other frameworks as functions for the callable scorer: one leaf file each, its package imported when built.

What they have in common: the framework's own verdict stands (`Score.advice`), so the guard's `threshold` does not
move it; text that a framework changes is `rewritten` for a prompt, and a span to mask for an answer; what it writes
about the text is left out, since that may quote it.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, get_args

from guards.loading import GuardConfigError
from guards.scorers.frameworks.packages import check_installed
from guards.told import told

Package = Literal["any-guardrail", "llm-guard", "guardrails-ai", "openai-guardrails", "nemo-guardrails"]
PACKAGES: tuple[Package, ...] = get_args(Package)


def framework_function(package: Package, options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """`function(text, conversation, side)` that asks the framework's guards, as `CallableScorer` takes it.

    Raises:
        GuardConfigError: the package is not installed, or refuses `options`. One line that names the key and the cure.
    """
    check_installed(package, where)
    leaf = import_module(f"{__name__}.{package.replace('-', '_')}")
    try:
        function: Callable[..., Any] = leaf.judge(options, f"{where}.options")
    except GuardConfigError:
        raise
    except Exception as error:  # a framework may raise anything; it is told in one line
        raise GuardConfigError(f"{where}.options: {package} refuses them: {told(error)}") from error
    return function
