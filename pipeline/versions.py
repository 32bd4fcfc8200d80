"""Which versions are installed, from the packages' metadata: nothing is imported for that."""

import importlib.metadata
import platform

from graft.models.installation import DISTRIBUTION

_PACKAGES = {"graft": DISTRIBUTION, "TensorFlow": "tensorflow", "Keras": "keras", "TFX": "tfx"}
"""Name that people know -> distribution."""


def installed() -> dict[str, str]:
    """Name -> version of Graft, Python and what a run computes with; "not installed" for what is missing."""
    found = {}
    for name, distribution in _PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    graft = found.pop("graft")
    return {"graft": graft, "Python": platform.python_version(), **found}
