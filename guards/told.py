"""An exception as a part of a line: for verdicts, records and messages."""


def told(error: BaseException) -> str:
    """Its type and message."""
    return storable(f"{type(error).__name__}: {message(error)}".removesuffix(": "))


def message(error: BaseException) -> str:
    """Its message alone."""
    try:
        return storable(str(error))
    except Exception:  # noqa: BLE001 - another's `__str__` may raise anything, and the first error is the one to tell
        return "its message cannot be read"


def storable(text: str, most_chars: int = 200) -> str:
    """The text on one line, cut to `most_chars`, and such that a file can hold it."""
    return writable(" ".join(text.split()))[:most_chars]


def writable(text: str) -> str:
    """The text without lone surrogates, which JSON can bring and no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
