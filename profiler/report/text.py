"""Names and messages from files, made safe to print: no markup, no control characters."""

from rich.markup import escape


def printable(text: object) -> str:
    """The text in one line that does nothing to a terminal; what is not printable becomes a question mark."""
    found = str(text)
    return found if found.isprintable() else "".join(c if c.isprintable() else "?" for c in found)


def plain(text: object) -> str:
    """The same for a rich console, printed as it is."""
    return escape(printable(text))
