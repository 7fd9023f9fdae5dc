"""llm-guard: its scanners, for prompts and for answers.

    options: {input: [{name: Secrets}], output: [{name: Regex, options: {patterns: ['...']}}]}

| a scanner says            | here                                                                                   |
|---------------------------|----------------------------------------------------------------------------------------|
| invalid                   | block; the sanitized text is kept for `action: rewrite` or `redact`, if all that found |
|                           | the text invalid have sanitized it                                                     |
| valid, but sanitized      | rewrite (prompt), redact (answer)                                                      |
| risk score, -1 to 1, 0 at its threshold | p(unsafe) = (risk + 1) / 2, the largest of all                           |

`scan_prompt` keeps one result for each class of scanner, so that of two `Regex` the second hides the first: here
each scanner is asked by itself, in order, as `scan_prompt` does it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from guards.scorers.frameworks.finding import Finding, Turns, as_mapping
from guards.scorers.frameworks.packages import Options, read_options
from guards.subject import Side

_KEYS: dict[Side, str] = {"prompt": "input", "answer": "output"}
_VAULTED = frozenset({"Anonymize", "Deanonymize"})


class _Scanner(Options):
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class _Options(Options):
    input: tuple[_Scanner, ...] = ()
    output: tuple[_Scanner, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scanner made of a text."""

    scanner: str
    before: str
    after: str
    valid: bool
    risk: float


def judge(options: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function that runs the scanners."""
    from llm_guard import input_scanners, output_scanners
    from llm_guard.util import configure_logger
    from llm_guard.vault import Vault

    configure_logger("ERROR")  # its warnings quote the text
    stated, vault = read_options(_Options, options, where), Vault()

    def made(module: Any, scanners: Sequence[_Scanner]) -> list[tuple[str, Any]]:
        extra = {name: {"vault": vault} for name in _VAULTED}
        return [(s.name, module.get_scanner_by_name(s.name, s.options | extra.get(s.name, {}))) for s in scanners]

    inputs, outputs = made(input_scanners, stated.input), made(output_scanners, stated.output)

    def scan(text: str, conversation: Turns, side: Side) -> dict[str, Any]:
        if side == "prompt":
            ways = [(name, scanner.scan) for name, scanner in inputs]
        else:
            asked = "\n".join(turn["content"] for turn in conversation if turn["role"] == "user")
            ways = [(name, _bound(scanner, asked)) for name, scanner in outputs]
        if not ways:
            raise LookupError(
                f"no scanner for the {side}: name some in options.{'input' if side == 'prompt' else 'output'}"
            )
        return as_mapping(finding_of(scans(text, ways)), text, conversation, side)

    return scan


def _bound(scanner: Any, prompt: str) -> Callable[[str], Any]:
    return lambda text: scanner.scan(prompt, text)


def scans(text: str, ways: Sequence[tuple[str, Callable[[str], tuple[str, bool, float]]]]) -> list[Scan]:
    """Each scanner on what the one before it has left, like `scan_prompt`; none on a blank text."""
    found: list[Scan] = []
    for name, scan in ways if text.strip() else ():
        after, valid, risk = scan(text)
        found.append(Scan(name, text, after, bool(valid), float(risk)))
        text = after
    return found


def finding_of(found: Sequence[Scan]) -> Finding:
    """All scanners' results as one."""
    invalid = [one for one in found if not one.valid]
    sanitized = all(one.after != one.before for one in invalid)
    return Finding(
        stop=bool(invalid),
        p_unsafe=max((min(1.0, max(0.0, (one.risk + 1) / 2)) for one in found), default=0.0),
        categories=tuple(dict.fromkeys(one.scanner for one in invalid)),
        changed=found[-1].after if found and sanitized else None,
    )
