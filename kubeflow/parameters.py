"""Parameters of a compiled pipeline: what decides whether a task may be taken from Kubeflow's cache.

Open-source Kubeflow looks at image, command, inputs and parameters of a task, never at the files it reads. So what the
files hold is a parameter, computed where a run is submitted. The settings of a stage name it by a mark, in whose place
the container's entrypoint puts the value of the run; a task has what its settings name as inputs, and so as part of its
cache key.
"""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.models.hashing import hash_file

if TYPE_CHECKING:
    from graft.pipeline.config import Config

DATA, TEACHER, SCHEMA = "data_fingerprint", "teacher", "schema"

DESCRIPTIONS = {
    DATA: "What the data hold, spans included: a run with the same value takes from the cache what was computed for "
    "it. graft kubeflow submit computes it; by hand, any text that was not used before, such as the date.",
    TEACHER: "sha256 of the model that teaches.",
    SCHEMA: "sha256 of the curated schema.",
    "code": "Version of the code; empty: the name of the image alone decides.",
    "backbone": "What the handle of the backbone names, a sha256 where it is a file; empty: the handle alone decides.",
    "run_key": "Identity of all that goes into the model: a run with the same value makes the same model.",
}
"""Of each parameter, in words."""

REQUIRED = (DATA, TEACHER, SCHEMA)
"""Without a default: an old value would be a wrong hit in the cache. The others are empty where nothing is given."""

PREFIX = "graft_"
"""Of the names of a task's inputs that are no settings of its executor."""

GATE = f"{PREFIX}gate_"
"""Of the inputs with the verdicts of earlier stages, before the name of the stage."""

RUN = "run"
"""The run itself, which Kubeflow knows; only for tasks that are never cached."""

_ALLOWED = re.compile(r"[\w .,:;=+@/()-]{0,256}", re.ASCII)
"""Values that can stand within JSON as they are."""

_MARK = re.compile(r"@graft\.([a-z_]+)@")


def mark(name: str) -> str:
    """What stands in the settings for the value of a parameter."""
    return f"@graft.{name}@"


def marks(value: Any) -> set[str]:
    """Names of the parameters that a setting names."""
    return set(_MARK.findall(value)) if isinstance(value, str) else set()


def sources(config: "Config") -> dict[str, Callable[[], str]]:
    """How each parameter that needs no data is computed, by name; a call may raise GraftError."""
    # Imported here: it reads backbones.
    from graft.pipeline import prepare

    def schema() -> str:
        return hash_file(pathlib.Path(pinned)) if (pinned := prepare.pin_schema(config)) else ""

    return {
        TEACHER: lambda: prepare.pinned_transfer(config).get("teacher_sha256") or "",
        SCHEMA: schema,
        "code": prepare.code_version,
        "backbone": lambda: prepare.backbone_identity(config.backbone),
    }


def computed(config: "Config") -> dict[str, str]:
    """The parameters of a run that starts now, as data, code, backbone, teacher and schema are seen from here.

    Raises:
        GraftError: one of them cannot be read from here.
    """
    # Imported here: they read data.
    from graft.components.ingest.fingerprint import fingerprint
    from graft.pipeline import prepare, settling

    config = settling.settle_known(config, "a submission")
    found = {DATA: fingerprint(config.request())} | {name: compute() for name, compute in sources(config).items()}
    key = prepare.run_key(config, found[DATA], found["code"], found["backbone"], found[TEACHER] or None)
    return found | {"run_key": key}


def checked(given: Mapping[str, Any]) -> dict[str, str]:
    """Values that are to stand in place of the marks.

    Raises:
        GraftError: one is no text, or holds a character that cannot stand in JSON as it is.
    """
    for name, value in given.items():
        if not isinstance(value, str) or not _ALLOWED.fullmatch(value):
            raise GraftError(
                f"parameter {name}: received {value!r}; allowed: up to 256 letters, digits and characters of "
                "' _.,:;=+@/()-'"
            )
    return dict(given)


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """A setting with the values of the run in place of the marks; what is no text stays as it is.

    Raises:
        GraftError: it names a parameter that is not given.
    """
    if missing := sorted(marks(value) - set(given)):
        raise GraftError(f"the settings of the task name parameter {missing[0]!r}, which it was not given")
    return _MARK.sub(lambda found: given[found[1]], value) if isinstance(value, str) else value
