"""The stage on artifacts: what it writes, and that damaged ones are one line."""

import json
import pathlib

import pytest
from label_artifacts import COUNTS, target, write
from tfx.types import standard_artifacts

from graft.components.artifacts import Features, LabelReview
from graft.components.labels import executor
from graft.components.labels.component import LabelReviewer, LabelReviewSpec
from graft.models.errors import GraftError
from graft.models.inputs import text
from graft.models.targets import label


def run(folders: dict[str, str], output: pathlib.Path) -> dict:
    types = {"examples": standard_artifacts.Examples, "features": Features, "predictions": standard_artifacts.Examples}
    given = {name: [made := kind()] and [made] for name, kind in types.items()}
    for name, (artifact,) in given.items():
        artifact.uri = folders[name]
    graph, made = standard_artifacts.TransformGraph(), LabelReview()
    graph.uri, made.uri = "nothing", str(output)
    output.mkdir()
    parameters = executor.Parameters(input=text.Options(), target=label.Options())
    executor.Executor().Do({**given, "transform_graph": [graph]}, {"review": [made]}, parameters.dump())
    return json.loads((output / "labels.json").read_text())


@pytest.fixture
def _known(monkeypatch):
    monkeypatch.setattr(executor.targets, "load_target", lambda options, graph: target())


@pytest.mark.usefixtures("_known")
def test_it_writes_what_it_found_and_previews_of_what_is_shown(tmp_path):
    found = run(write(tmp_path), tmp_path / "out")
    assert found["examples"] == COUNTS and found["flagged"] > 0 and found["near"]["pairs"] == 2
    shown = [*found["labels"][:12], *(pair[side] for pair in found["pairs"] for side in ("first", "second"))]
    assert found["previews"].keys() == {f"{one['split']}/{one['sha256']}" for one in shown}
    assert all(preview["text"].endswith("<b>") for preview in found["previews"].values())


@pytest.mark.usefixtures("_known")
def test_damaged_features_are_one_line(tmp_path):
    folders = write(tmp_path)
    path = pathlib.Path(folders["features"], "Split-eval", "features.npy")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(GraftError, match="run again with --from features"):
        run(folders, tmp_path / "out")


def test_the_component_has_what_its_executor_reads():
    assert set(LabelReviewSpec.INPUTS) == {"examples", "transform_graph", "features", "predictions"}
    assert set(LabelReviewSpec.OUTPUTS) == {"review"} and LabelReviewer.SPEC_CLASS is LabelReviewSpec
