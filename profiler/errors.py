"""Errors that are the user's to cure: one line, exit status 2."""


class UserError(Exception):
    """A mistake in a file, flag or setting. The message names it and the cure."""
