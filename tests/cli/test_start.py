"""What the command line loads before it knows what it is to do."""

import subprocess
import sys


def test_the_command_line_starts_without_torch_or_vllm() -> None:
    look = "import sys, profiler.cli; print([m for m in ('torch', 'transformers', 'vllm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"  # a second and more of each report
