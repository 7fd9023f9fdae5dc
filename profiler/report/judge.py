"""By whom answers were judged, and how good it is: its card's own measurements."""

from collections.abc import Iterator, Mapping
from typing import Any


def judge_note(judge: Mapping[str, Any] | None) -> str:
    """One sentence; empty where nobody judged."""
    if not judge:
        return ""
    parts = [_one(what, facts) for what, facts in judge.items()]
    return f"Answers were judged by {'; '.join(parts)}."


def _one(what: str, facts: Mapping[str, Any]) -> str:
    figures = ", ".join(_figures(what, facts.get("card") or {}))
    return f"{facts['name']} (threshold {facts['threshold']:.2f}; {figures or 'its card measures nothing'})"


def _figures(what: str, card: Mapping[str, Any]) -> Iterator[str]:
    """What the card says: held-out accuracy first, and then how it did out of fold."""
    for name, found in (card.get("held_out") or {}).items():
        if "accuracy" in name and isinstance(found, Mapping):
            yield f"held out: {_share(found)} right of {found['n']} ({name.replace('_', ' ')})"
            break
    if "auroc" in card:
        yield f"AUROC {card['auroc']:.2f}"
    if found := card.get("recall_at_threshold"):
        yield f"finds {_share(found)}"
    if found := card.get("false_positives_at_threshold"):
        yield f"false alarms {_share(found)}"


def _share(found: Mapping[str, Any]) -> str:
    return f"{100 * found['rate']:.0f} % [{100 * found['low']:.0f}, {100 * found['high']:.0f}]"
