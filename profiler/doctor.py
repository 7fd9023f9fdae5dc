"""`alignment-tax doctor`: what this machine can measure, and what not and why."""

from rich.console import Console
from rich.markup import escape

from profiler.engines.vllm_args import installed_vllm, is_cpu_build
from profiler.errors import UserError
from profiler.machine import cpu_has_bf16, machine
from profiler.meters.capabilities import meter_lines


def print_doctor(console: Console) -> None:
    """Print a line for each thing a run relies on."""
    facts = machine()
    cpu = f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"
    lines = [("machine", cpu), ("vLLM", _vllm())]
    lines.append(("bfloat16", "native" if cpu_has_bf16() else "not native: the embedded model runs in float32"))
    lines += meter_lines()
    for name, text in lines:
        console.print(f"[bold]{name:<10}[/] {escape(text)}", highlight=False, soft_wrap=True)


def _vllm() -> str:
    try:
        return str(installed_vllm()) + (" (CPU build)" if is_cpu_build() else "")
    except UserError as error:
        return str(error)
