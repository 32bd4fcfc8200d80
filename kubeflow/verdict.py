"""The last task of a compiled pipeline: a run whose gate closed fails, after its report is written.

python -m graft.kubeflow.verdict EXECUTOR_INPUT
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from graft.kubeflow import handover, pod
from graft.models.errors import GraftError


def main(arguments: Sequence[str] | None = None) -> int:
    """Says how the run went; returns the exit code."""
    (given,) = sys.argv[1:] if arguments is None else arguments
    return pod.run(lambda: work(json.loads(given)), "verdict")


def work(given: dict[str, Any]) -> None:
    """Reads how the run went.

    Raises:
        GraftError: a gate is closed.
    """
    run = handover.local(given["inputs"]["artifacts"]["run"]["artifacts"][0])["uri"]
    result = json.loads(pathlib.Path(run).read_text(encoding="utf-8"))
    if result["status"] != "passed":
        raise GraftError(result["reason"])


if __name__ == "__main__":
    sys.exit(main())
