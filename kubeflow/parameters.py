"""Parameters of a compiled pipeline: what decides whether a task may be taken from Kubeflow's cache.

Open-source Kubeflow looks at image, command, inputs and parameters of a task, never at the files it reads. So what the
files hold is a parameter, computed where a run is submitted. A stage's settings name it by a mark, which the container's
entrypoint replaces by the value of the run; every task has all of them as inputs, and so as part of its cache key.
"""

import re
from collections.abc import Mapping
from typing import Any

from graft.models.errors import GraftError
from graft.pipeline.config import Config

DATA = "data_fingerprint"

DESCRIPTIONS = {
    DATA: "What the data hold: a run with the same value takes from the cache what was computed for it. "
    "`graft kubeflow submit` computes it; by hand, any text that was not used before, such as the date.",
    "code": "Version of Graft's code; empty: the image alone decides.",
    "backbone": "What the handle of the backbone names, a sha256 where it is a file; empty: the handle alone decides.",
    "teacher": "sha256 of the model that teaches, where there is one.",
    "run_key": "Identity of all that goes into the model: a run with the same value makes the same model.",
}
"""Of each parameter, in words. All but `DATA` are empty where nothing is given."""

ALLOWED = re.compile(r"[\w .,:;=+@/()-]{0,256}")
"""Values that can stand within JSON as they are."""

_MARK = re.compile(r"@run\.([a-z_]+)@")


def mark(name: str) -> str:
    """What stands in the settings for the value of a parameter."""
    if name not in DESCRIPTIONS:
        raise KeyError(name)
    return f"@run.{name}@"


def computed(config: Config) -> dict[str, str]:
    """The parameters of a run that starts now, from data, code, backbone and teacher as they are seen from here.

    Raises:
        GraftError: data, backbone or teacher cannot be read from here.
    """
    # Imported here: they read data.
    from graft.components.ingest.fingerprint import fingerprint
    from graft.pipeline import prepare

    data, code, backbone = fingerprint(config.request()), prepare.code_version(), prepare.backbone_identity(config.backbone)
    teacher = prepare.pinned_transfer(config).get("teacher_sha256") or ""
    return {
        DATA: data,
        "code": code,
        "backbone": backbone,
        "teacher": teacher,
        "run_key": prepare.run_key(config, data, code, backbone, teacher or None),
    }


def checked(given: Mapping[str, Any]) -> dict[str, str]:
    """Values that are to stand in place of the marks.

    Raises:
        GraftError: one is none of the parameters, no text, or holds a character that cannot stand in JSON as it is.
    """
    for name, value in given.items():
        if name not in DESCRIPTIONS:
            raise GraftError(f"parameter {name!r} is none of the pipeline's; allowed: {', '.join(DESCRIPTIONS)}")
        if not isinstance(value, str) or not ALLOWED.fullmatch(value):
            raise GraftError(
                f"parameter {name}: received {value!r}; allowed: up to 256 letters, digits and characters of "
                "' _.,:;=+@/()-'"
            )
    return dict(given)


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """A setting with the values of the run in place of the marks; what is no text stays as it is."""
    return _MARK.sub(lambda found: given[found[1]], value) if isinstance(value, str) else value
