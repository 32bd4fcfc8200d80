"""The error that the command line shows as a message instead of a traceback."""


class GraftError(Exception):
    """A fault the user can mend: its message names the file, key or request, the value received and what is allowed.

    Several faults that are told together are several arguments, a line each.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each fault. What a line itself holds of line breaks came from outside."""
        return tuple(str(fault) for fault in self.args)

    def __str__(self) -> str:
        return "\n".join(self.lines)
