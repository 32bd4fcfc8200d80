"""The error that the command line shows as a message instead of a traceback."""


class GraftError(Exception):
    """A fault the user can mend: its message names the file, key or request, the value received and what is allowed."""
