"""Text from a run, made safe to show on a page: in one line, nothing invisible, not endless."""

MOST = 1000
NAME = 80
"""Characters of a name that are shown: arms and guards are named everywhere on the page."""


def shown(text: object, most: int = MOST) -> str:
    """The text in one line; controls, bidi marks and what else cannot be seen as ⟨U+202E⟩, the length said if cut."""
    whole = str(text)
    found = whole if len(whole) <= most else f"{whole[:most]}… ({len(whole):,} characters)"
    return found if found.isprintable() else "".join(_visible(c) for c in found)


def _visible(c: str) -> str:
    if c.isprintable():
        return c
    return " " if c in "\n\r\t" else f"⟨U+{ord(c):04X}⟩"
