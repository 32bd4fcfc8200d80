"""The entrypoint imports only what its component needs: most of the seconds of a small task are imports."""

import subprocess
import sys

import pytest

CODE = """
import sys
from graft.kubeflow import entrypoint
from graft.models import deferred
deferred.own_process()
with entrypoint._without_tensorflow():
    from tfx.dsl.components.base import base_executor
    from tfx.types import standard_artifacts
for path in sys.argv[1:]:
    entrypoint.imported(path)
print(*sorted({"tensorflow", "keras", "apache_beam", "pandas", "sklearn", "kubernetes", "nltk"} & set(sys.modules)))
"""


def imported(*modules: str) -> set[str]:
    paths = [f"{module}.executor.Executor" for module in modules]
    done = subprocess.run([sys.executable, "-c", CODE, *paths], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_small_stages_begin_without_tensorflow_and_beam():
    small = ("schema", "validate", "data_gate", "train", "predict", "labels", "quality_gate", "serving_check", "push")
    assert imported(*[f"graft.components.{stage}" for stage in small]) == set()


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="TFX 1.21 has to import all of its components")
def test_stages_with_beam_leave_the_other_components_out():
    found = imported("graft.components.statistics", "tfx.components.transform")
    assert {"tensorflow", "apache_beam"} <= found and not found & {"sklearn", "kubernetes", "nltk"}
