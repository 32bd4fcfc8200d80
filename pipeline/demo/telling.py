"""What every demo has: a folder of its own, an end in order, its outcome as text or JSON."""

import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from graft.models.text import say
from graft.pipeline.ending import INTERRUPTED, Ending, exit_code, interrupted_by
from graft.pipeline.progress_view import ProgressView
from graft.pipeline.strict_json import to_json

Json = dict[str, Any]


def tell(
    name: str,
    root: pathlib.Path,
    as_json: bool,
    end: Ending,
    act: Callable[[pathlib.Path, ProgressView], Json],
    describe: Callable[[Json], str],
) -> int:
    """Runs a demo and prints what came out; progress goes to standard error.

    Args:
        name: of the demo, for messages.
        root: every demo makes a folder of its own in it.
        as_json: one JSON object instead of text.
        end: of the command, see `pipeline.run.run`.
        act: does it all in that folder; JSON types, with `reasons`, in what it did not go as it should.
        describe: the outcome as text; `seconds` is added to it.

    Returns:
        0 if there are no reasons; else 1, and they are on standard error. After a signal 128 and its number.
    """
    from graft.pipeline.run import new_run_id

    folder = root.absolute() / new_run_id()
    folder.mkdir(parents=True)
    started = time.monotonic()
    try:
        with ProgressView() as view:
            view.preparing(f"{name}: loading TFX and TensorFlow")
            value = act(folder, view)
    except KeyboardInterrupt:
        number = end.number or signal.SIGINT
        end.over(exit_code(number))
        message = f"{name}: {interrupted_by(number)}"
        if as_json:
            say(to_json({"status": INTERRUPTED, "error": message, "folder": str(folder)}))
        say(f"graft: {message}; what there is lies in {folder}", file=sys.stderr)
        return exit_code(number)
    value["seconds"] = time.monotonic() - started
    end.over(1 if value["reasons"] else 0)
    say(*([to_json(value)] if as_json else describe(value).split("\n")))
    for reason in value["reasons"]:
        say(f"graft: {name}: {reason}", file=sys.stderr)
    return 1 if value["reasons"] else 0
