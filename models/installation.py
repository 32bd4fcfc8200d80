"""What is installed: the whole of Graft, or the client of a server alone (docs/install.md)."""

import importlib.machinery

from graft.models.errors import GraftError

DISTRIBUTION = "graft-transfer"
"""What pip calls Graft; `graft` on PyPI is somebody else's."""

_NEEDED = ("absl", "keras", "pydantic", "rich", "tensorflow", "tfx", "yaml")
"""Of the pipeline's packages those whose absence shows that the others are absent, too."""


class Incomplete(GraftError, ImportError):
    """Something was asked for that the client does not bring."""


def missing() -> list[str]:
    """The pipeline's packages that are not there; nothing is imported."""
    return [name for name in _NEEDED if importlib.machinery.PathFinder.find_spec(name) is None]


def require(what: str) -> None:
    """Raises Incomplete, in one line, unless the pipeline's packages are there.

    Args:
        what: was asked for, for people: `graft.run`.
    """
    if absent := missing():
        raise Incomplete(
            f"{what} needs the pipeline's packages, and {', '.join(absent)} are missing here; run `make install` in "
            "a clone of the repository, or `uv pip sync --require-hashes requirements.lock`; where glibc is 2.39 or "
            f"newer pip can install them too, as {DISTRIBUTION}[pipeline]; see docs/install.md"
        )
