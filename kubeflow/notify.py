"""The exit task of a compiled pipeline: tells a webhook how the run ended.

    python -m graft.kubeflow.notify EXECUTOR_INPUT

The message is that of Slack's incoming webhooks, a JSON object with `text`; beside it stand `pipeline`, `run`, `id` and
`state`, for others. The address is a secret and is in no message and no error.
"""

import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from graft.kubeflow import pod
from graft.models.errors import GraftError

_TIMEOUT_S = 20
_WORDS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELLED": "was cancelled", "SKIPPED": "was skipped"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Tells; returns the exit code."""
    (given,) = sys.argv[1:] if arguments is None else arguments
    return pod.run(lambda: work(json.loads(given)), "notify")


def work(given: dict[str, Any]) -> None:
    """Posts the message, if it is one of those that are wanted.

    Raises:
        GraftError: there is no address, or the webhook did not take it.
    """
    values = given["inputs"]["parameterValues"]
    settings = json.loads(values["settings"])
    body = message(values)
    if settings["when"] == "failed" and body["state"] == "SUCCEEDED":
        return
    variable = settings["webhook_env"]
    address = os.environ.get(variable, "").strip()
    if not address.startswith(("http://", "https://")):
        raise GraftError(
            f"kubeflow.notify: the variable {variable} holds no http(s) address; give it to the pods by "
            "kubeflow.secrets"
        )
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise GraftError(f"kubeflow.notify: the webhook in {variable} answered {error.code} {error.reason}") from None
    except OSError as error:
        reason = str(getattr(error, "reason", error))
        raise GraftError(f"kubeflow.notify: the webhook in {variable} cannot be reached: {reason}") from None
    except (ValueError, http.client.HTTPException) as error:  # its text may hold the address
        raise GraftError(
            f"kubeflow.notify: the address in {variable} cannot be used ({type(error).__name__})"
        ) from None


def message(values: dict[str, Any]) -> dict[str, Any]:
    """What is posted, from the parameters of the task.

    A launcher that was killed leaves RUNNING as the state: the run has ended all the same, and did not succeed.
    """
    status = values.get("status") or {}
    if isinstance(status, str):
        status = json.loads(status)
    state = status.get("state", "UNKNOWN")
    if state == "RUNNING":
        state = "FAILED"
    said = (status.get("error") or {}).get("message", "")
    pipeline, run = values["pipeline"], values["run"]
    text = f"{pipeline}: run {run} {_WORDS.get(state, f'ended as {state}')}" + (f": {said}" if said else "")
    return {"text": text, "pipeline": pipeline, "run": run, "id": values["id"], "state": state}


if __name__ == "__main__":
    sys.exit(main())
