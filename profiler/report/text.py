"""Names and messages from files, made safe to print: no markup, no control characters."""

from rich.markup import escape


def plain(text: object) -> str:
    """The text for a rich console, printed as it is; what is not printable becomes a question mark."""
    return escape("".join(c if c.isprintable() else "?" for c in str(text)))
