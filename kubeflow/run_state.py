"""What the API tells of a run: its tasks, without the parts that Kubeflow adds to each.

The server derives tasks from the nodes of Argo's workflow. A task `train` of the pipeline is the nodes `train`, a
`train-driver` that prepares it and an `executor` whose pod runs the container.
"""

import dataclasses
import datetime
import re
from typing import Any

_OWN = ("root", "executor")
_DRIVER = "-driver"
_ATTEMPT = re.compile(r"\(\d+\)$")
"""Argo puts it behind the name where a node may be tried again."""
_POD_TEMPLATE = "system-container-impl"
"""Of Argo, for the pods of containers; it is part of a pod's name and not of its node's."""

SUCCEEDED, FAILED, CANCELED = "SUCCEEDED", "FAILED", "CANCELED"
ENDED = (SUCCEEDED, "SKIPPED", FAILED, CANCELED)
"""States that a run keeps; all others are of one that waits, runs, or is being cancelled."""


@dataclasses.dataclass(frozen=True)
class TaskState:
    """A task of a run."""

    name: str
    state: str
    """As Kubeflow has it: PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED, CANCELED..."""
    seconds: float | None
    """From its start to its end, or None while it has not ended."""
    error: str
    """What the server says of a failure; often nothing, and the log says more."""
    nodes: tuple[str, ...]
    """Names of the nodes that may have a pod with its log, the likeliest first."""

    @property
    def pods(self) -> list[str]:
        """Names that the pods of the nodes may have: since Argo 3.4 that of the node, with the template's in it."""
        found = []
        for node in self.nodes:
            workflow, _, number = node.rpartition("-")
            found += [f"{workflow}-{_POD_TEMPLATE}-{number}", node] if workflow else [node]
        return found


def state(run: Any) -> str:
    """Of a run or task of the API, as Kubeflow has it; one that has none yet is pending."""
    return run.state or "PENDING"


def tasks(run: Any) -> list[TaskState]:
    """The tasks of a run of the API that the pipeline names, in the order in which they started."""
    details = (run.run_details.task_details if run.run_details else None) or []
    by_node = {one.pod_name: one for one in details if one.pod_name}
    named = [one for one in details if one.display_name and not _added(one.display_name)]
    named.sort(key=lambda one: (one.start_time is None, one.start_time or one.create_time or 0, one.display_name))
    return [_task(one, by_node) for one in named]


def seconds(start: datetime.datetime | None, end: datetime.datetime | None) -> float | None:
    """Between two times of the API, which are 0 in Unix time where they have not come."""
    return (end - start).total_seconds() if start and end and end >= start and end.timestamp() > 0 else None


def message(error: Any) -> str:
    """The words of a status of the API on one line."""
    return " ".join((error.message or "").split()) if error is not None else ""


def _task(detail: Any, by_node: dict[str, Any]) -> TaskState:
    inside, children = [], list(detail.child_tasks or ())
    seen = set()
    while children:
        node = children.pop(0).pod_name
        child = by_node.get(node)
        # Argo counts what follows in the graph among the children, too.
        if node in seen or (child is not None and not _added(child.display_name)):
            continue
        seen.add(node)
        inside.append((node, child))
        children += (child.child_tasks or ()) if child is not None else ()
    errors = (message(one.error) for one in (detail, *(child for _, child in inside if child is not None)))
    return TaskState(
        name=detail.display_name,
        state=state(detail),
        seconds=seconds(detail.start_time, detail.end_time),
        error=next((one for one in errors if one), ""),
        nodes=(*(node for node, _ in reversed(inside)), *((detail.pod_name,) if detail.pod_name else ())),
    )


def _added(name: str) -> bool:
    """Whether Kubeflow or Argo gave a node its name."""
    plain = _ATTEMPT.sub("", name)
    return plain != name or plain in _OWN or plain.endswith(_DRIVER)
