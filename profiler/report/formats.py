"""A profiled run in each format that is text for other programs."""

import json

from profiler.analysis.tax import RunResult
from profiler.report.as_csv import to_csv
from profiler.report.as_json import to_json
from profiler.report.categories_table import print_categories
from profiler.report.html.page import page_of
from profiler.report.markdown import MarkdownConsole
from profiler.report.more import more_json, print_more
from profiler.report.terminal import print_result
from profiler.report.vllm_bench import vllm_bench_results

FORMATS = ("json", "markdown", "csv", "html", "vllm-bench")


def formatted(result: RunResult, how: str, harmful: float | None, *, categories: bool = False) -> str:
    """The run as one of `FORMATS`; `vllm-bench` is a line an arm, as vLLM's `--append-result` writes runs."""
    if how == "json":
        return json.dumps(to_json(result) | more_json(result, harmful), indent=2) + "\n"
    if how == "html":
        return page_of(result, harmful)
    if how == "csv":
        return to_csv(result)
    if how == "vllm-bench":
        return "".join(json.dumps(document) + "\n" for document in vllm_bench_results(result).values())
    return _markdown(result, harmful, categories)


def _markdown(result: RunResult, harmful: float | None, categories: bool) -> str:
    """The terminal's tables, for a pull request."""
    page = MarkdownConsole()
    print_result(result, page)
    if categories:
        print_categories(result, page)
    print_more(result, harmful, page)
    return page.page
