"""The error that the command line shows as a message instead of a traceback, and others' errors in one line."""

import re


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


def one_line(error: BaseException, most: int | None = 300) -> str:
    """What an exception of somebody else says, on a line of at most `most` characters; its type if it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def kernel_reason(message: str) -> str:
    """The reason in the message of a `tf.errors.OpError`, on one line, without TensorFlow's account of the graph."""
    # The account of the graph stands before the reason, a line that points at the node after it.
    message = re.sub(r"\n\s*\[\[.*|\[Op:\w+\].*", "", message, flags=re.DOTALL)
    message = re.sub(r"^.*\nNode: [^\n]*\n|^Graph execution error:.*\n\n", "", message, flags=re.DOTALL)
    message = re.sub(r"^(\d+ root error\(s\) found\.|\s|\(0\) \w+:|\{\{.*?\}\}|assertion failed:)*", "", message)
    return " ".join(message.split())
