"""What the keyword guards judge: made-up texts, and which of them hold a banned word."""

import random
from dataclasses import dataclass

BANNED = ("bomb", "arson", "heroin", "ransomware", "swordfish", "poison", "detonator", "keylogger", "forge", "smuggle")
# Banned words inside longer ones: only whole words count.
NEAR_MISSES = ("bombastic", "parsonage", "heroine", "poisonous", "forged", "forget", "smuggler")
PLAIN = (
    "the a my this garden water summer recipe train ticket which how why can please explain write short letter "
    "friend music planet orbit bread oven history river bridge sentence simple teach child number add morning"
)


@dataclass(frozen=True)
class Texts:
    """Texts, and for each whether it is to be blocked."""

    texts: tuple[str, ...]
    blocked: tuple[bool, ...]


def make_texts(n: int = 200, seed: int = 3) -> Texts:
    """`n` texts of 8 to 80 words; one in four holds a banned word, in any case, one in four a near miss."""
    rng = random.Random(seed)
    made = [_text(rng, number % 4) for number in range(n)]
    return Texts(tuple(made), tuple(number % 4 == 0 for number in range(n)))


def _text(rng: random.Random, kind: int) -> str:
    words = rng.choices(PLAIN.split(), k=rng.randint(8, 80))
    if kind < 2:
        word = rng.choice(BANNED if kind == 0 else NEAR_MISSES)
        word = rng.choice((word, word.upper(), word.capitalize(), f"{word},", f"({word})"))
        words.insert(rng.randint(0, len(words)), word)
    return " ".join(words) + rng.choice(".?!")
