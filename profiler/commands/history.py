"""`alignment-tax history`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from profiler.analysis.history import in_series
from profiler.analysis.metrics import LATENCIES
from profiler.analysis.words import WORDS
from profiler.commands.parser import Commands
from profiler.history import read_history
from profiler.report.history import print_history
from profiler.report.history_json import history_json

_RESULTS = Path("results")
_METRICS = tuple(
    name for name, word in WORDS.items() if word.key.partition(".")[0] in LATENCIES or name == "output_tokens_per_s"
)


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("history", help="all runs of a folder: a table, the trend, where the level changed")
    parser.add_argument("folder", type=Path, nargs="?", default=_RESULTS, help="that holds runs (default: results)")
    parser.add_argument("--scenario", metavar="NAME", help="only the runs of this scenario")
    parser.add_argument(
        "--metric",
        choices=_METRICS,
        default="ttft_p50",
        metavar="METRIC",
        help=f"what is followed (default: ttft_p50): {', '.join(_METRICS)}",
    )
    parser.add_argument("--tax", action="store_true", help="follow the tax on the metric, not the figure itself")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    word = WORDS[options.metric]
    found = read_history(options.folder, word.key, options.scenario)
    series = in_series(found.runs, tax=options.tax)
    if options.format == "json":
        print(json.dumps(history_json(series, found.left_out, word, options.tax), indent=2))
    else:
        print_history(series, found.left_out, word, options.tax, Console())
    return 0
