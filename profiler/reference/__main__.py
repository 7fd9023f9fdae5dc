"""`python -m profiler.reference --out results/reference/<gpu>`: 0 all parts there, 1 some are not, 2 cannot be run."""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from guards.loading import GuardConfigError
from profiler.engines.vllm_args import is_cpu_build
from profiler.errors import UserError
from profiler.meters.gpus import find_gpus
from profiler.meters.not_measured import NotMeasured
from profiler.reference.compact import mib
from profiler.reference.parts import chosen
from profiler.reference.run import ROOT, Plan, run_parts
from profiler.reference.table import table
from profiler.report.text import printable

RESULTS = ROOT / "results"
DRY = RESULTS / "reference-dry-run"
_DRY_SECONDS = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not there yet, and print the table."""
    began_s = time.monotonic()
    options = _parser().parse_args(arguments)
    try:
        gpu = _gpu(dry=options.dry_run)
        if isinstance(gpu, NotMeasured):
            print(f"no GPU: not measured: {gpu.why}", file=sys.stderr)
            return 2
        return _run(options, gpu, began_s)
    except (UserError, GuardConfigError) as error:
        print(f"reference: {printable(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("reference: interrupted; the parts that were finished are stored", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, gpu: str, began_s: float) -> int:
    parts = chosen(options.parts, full=options.full)
    out: Path = options.out or (DRY if options.dry_run else RESULTS / "reference" / gpu)
    seconds = options.seconds or (_DRY_SECONDS if options.dry_run else 20.0)
    plan = Plan(
        parts, out, RESULTS, seconds, options.blocks, began_s + 60 * options.minutes,
        dry=options.dry_run, again=options.again,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    missing = asyncio.run(run_parts(plan, Console(stderr=True)))
    for name, why in missing.items():
        print(f"{name}: not measured: {printable(why)}: run this again to add it")
    print(f"{out}: {mib(out):.1f} MiB, {(time.monotonic() - began_s) / 60:.1f} minutes")
    if options.dry_run:
        print("A dry run with a tiny model: these figures say nothing.")
    print("\n".join(table(out, [part.name for part in parts])))
    return 1 if missing else 0


def _gpu(*, dry: bool) -> str | NotMeasured:
    """The card's name as a folder's; why there is none to run on."""
    if dry:
        return "dry-run"
    found = find_gpus()
    if isinstance(found, NotMeasured):
        return found
    if is_cpu_build():
        return NotMeasured("vLLM's CPU build is installed beside a GPU: run `make clean setup`")
    return re.sub(r"[^a-z0-9]+", "-", found[0].name.lower()).strip("-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m profiler.reference", description=__doc__)
    parser.add_argument("--out", type=Path, help="default: results/reference/<the GPU's name>")
    parser.add_argument("--parts", default="", help="comma-separated; default: all that are not there yet")
    parser.add_argument("--full", action="store_true", help="every arm under every load: about half an hour")
    parser.add_argument("--minutes", type=float, default=10.0, help="be done by then (default: 10)")
    parser.add_argument("--seconds", type=float, help="length of the baseline's windows (default: 20)")
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="run parts that are there already, too")
    parser.add_argument("--dry-run", action="store_true", help="a tiny model on any machine, to see that it works")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
