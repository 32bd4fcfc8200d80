"""Push takes blessed models only, and says what is served afterwards."""

import pathlib

import pytest
from store_kinds import Files, Objects
from tensorflow.core.protobuf import saved_model_pb2
from tfx.types import standard_artifacts

from graft.components import gates
from graft.components.baseline import BEST, COMPARED, METRICS, NOTHING, find_baseline, pointer_state
from graft.components.push.executor import Executor, Parameters
from graft.models.errors import GraftError
from graft.models.signals.reference import FILE, PLACE, Reference
from graft.serving.store import ModelStore, open_store


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path) -> ModelStore:
    return open_store(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("s3"))


@pytest.fixture
def push(tmp_path, store):
    """push("content", run_key=...) -> custom properties of the PushedModel."""

    def run(
        content: str,
        run_key: str = "key",
        quality: int = 1,
        infra: int = 1,
        best: int = 0,
        operations=(),
        trust=0,
        compared: str = "",
        metrics: str = "",
        run: str | None = None,
        reference: bytes = Reference({}, {}, {}, 0, {}, {}, {}).encode(),
    ) -> dict:
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / f"model-{content}")
        serving = pathlib.Path(model.uri) / "Format-Serving"
        serving.mkdir(parents=True, exist_ok=True)
        graph = saved_model_pb2.SavedModel()
        graph.meta_graphs.add().meta_info_def.tags.append(content)
        for operation in operations:
            graph.meta_graphs[0].graph_def.node.add(name=operation[0], op=operation)
        (serving / "saved_model.pb").write_bytes(graph.SerializeToString())
        predictions = standard_artifacts.Examples()
        predictions.uri = str(tmp_path / f"predictions-{content}")
        pathlib.Path(predictions.uri).mkdir(exist_ok=True)
        pathlib.Path(predictions.uri, FILE).write_bytes(reference)
        blessings = []
        for kind, blessed in ((standard_artifacts.ModelBlessing, quality), (standard_artifacts.InfraBlessing, infra)):
            blessing = kind()
            blessing.uri = str(tmp_path / f"{kind.TYPE_NAME}-{content}")
            gates.bless(blessing, [gates.Gate("accuracy", 0.5, 0.7, bool(blessed))])
            blessings.append(blessing)
        blessings[0].set_int_custom_property(BEST, best)
        blessings[0].set_string_custom_property(COMPARED, compared)
        blessings[0].set_string_custom_property(METRICS, metrics)
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        inputs = {"model": [model], "predictions": [predictions]}
        inputs |= {"model_blessing": [blessings[0]], "infra_blessing": [blessings[1]]}
        given = Parameters(
            model_name="birds",
            store=store.address,
            keep=2,
            metadata={"run_key": run_key, "config": {}},
            trust=trust,
        )
        context = Executor.Context(pipeline_run_id=run) if run else None
        Executor(context).Do(inputs, {"pushed_model": [pushed]}, given.dump())
        version = int(pushed.get_string_custom_property("pushed_version"))
        assert pushed.get_string_custom_property("pushed_destination") == store.version_address("birds", version)
        return {name: pushed.get_string_custom_property(name) for name in ("pushed_version", "served_version")}

    return run


@pytest.mark.slow
def test_a_blessed_model_is_served(push, store):
    assert push("one") == {"pushed_version": "1", "served_version": "1"}
    assert store.served("birds") == 1
    metadata = store.manifest("birds", 1)["metadata"]
    assert metadata["run_key"] == "key" and metadata["trusted_operations"] == []


@pytest.mark.slow
def test_the_reference_is_stored_beside_the_model_and_covered_by_the_manifest(push, store):
    push("one")
    place = store.version_path("birds", 1) / PLACE
    assert Reference.load(place).rows == 0 and PLACE in store.manifest("birds", 1)["files"]
    assert store.verify("birds") == []
    assert push("one")["pushed_version"] == "1", "the same content is not copied again"
    assert push("one", reference=Reference({}, {}, {}, 1, {}, {}, {}).encode())["pushed_version"] == "2"
    (Files if store.is_local else Objects)(store.address).write(f"birds/2/{PLACE}", b"{}")
    assert [fault.partition(":")[0] for fault in store.verify("birds")] == [f"birds/2/{PLACE}"]


@pytest.mark.slow
def test_the_manifest_holds_what_the_gate_measured(push, store):
    push("one", metrics='{"accuracy": 0.75, "examples": 8}')
    assert store.manifest("birds", 1)["metadata"][METRICS] == {"accuracy": 0.75, "examples": 8}
    push("two")
    assert store.manifest("birds", 2)["metadata"][METRICS] is None, "the blessing is of an earlier version"


def test_a_damaged_reference_is_not_pushed(push, store):
    with pytest.raises(GraftError, match=r"graft_reference.json: damaged"):
        push("one", reference=b"{")
    assert store.versions("birds") == []


@pytest.mark.slow
def test_a_model_that_does_more_than_compute_is_pushed_only_if_trusted(push, store):
    push("one")
    with pytest.raises(
        GraftError, match=r"does more than compute: WriteFile \(node 'W'\); it is pushed only with backb"
    ):
        push("two", operations=["Const", "WriteFile"])
    assert store.versions("birds") == [1]
    push("two", operations=["Const", "WriteFile"], trust=1)
    assert store.manifest("birds", 2)["metadata"]["trusted_operations"] == ["WriteFile (node 'W')"]


@pytest.mark.slow
@pytest.mark.parametrize(("closed", "stage"), [({"quality": 0}, "quality_gate"), ({"infra": 0}, "serving_check")])
def test_behind_a_closed_gate_nothing_is_pushed(push, store, closed, stage):
    push("one")
    with pytest.raises(gates.GateClosed, match=f"{stage}: gate closed: accuracy is 0.5, limit 0.7"):
        push("two", **closed)
    assert store.versions("birds") == [1] and store.served("birds") == 1


@pytest.mark.slow
def test_a_pinned_pointer_stays(push, store):
    push("one")
    store.pin("birds", 1)
    assert push("two") == {"pushed_version": "2", "served_version": "1"}


@pytest.mark.slow
def test_the_baseline_of_a_run_that_is_served_already_is_what_it_was_compared_with(push, store):
    assert find_baseline(store, "birds", "first") is None
    push("one", "first")
    assert find_baseline(store, "birds", "first") is None
    second = {"version": 1, "path": store.version_address("birds", 1), "best": None}
    assert find_baseline(store, "birds", "second") == second
    push("two", "second")
    assert find_baseline(store, "birds", "second") == second
    assert find_baseline(store, "birds", "first")["version"] == 2


@pytest.mark.slow
def test_the_best_version_so_far_is_kept_and_compared_with(push, store):
    """Three pushes, each a little worse than the first: the store would keep two versions only."""
    push("one", "first")
    for content, key in (("two", "second"), ("three", "third"), ("four", "fourth")):
        push(content, key, best=1)
    assert store.versions("birds") == [1, 3, 4]
    found = find_baseline(store, "birds", "fifth")
    assert found["version"] == 4
    assert found["best"] == {"version": 1, "path": store.version_address("birds", 1)}
    push("five", "fifth", best=0)
    assert store.versions("birds") == [4, 5]
    assert find_baseline(store, "birds", "sixth")["best"] is None, "version 5 is the best itself"
    again = find_baseline(store, "birds", "fifth")
    assert again["version"] == 4 and again["best"] is None, "the best it was compared with is gone"


@pytest.mark.slow
def test_the_pointer_state_changes_by_hand_only(push, store):
    assert pointer_state(store, "birds", "first") == "empty"
    push("one", "first")
    assert pointer_state(store, "birds", "first") == "empty"
    before = pointer_state(store, "birds", "second")
    push("two", "second")
    assert pointer_state(store, "birds", "second") == before
    store.rollback("birds")
    assert pointer_state(store, "birds", "second") != before
    assert pointer_state(store, "birds", "first") == "empty"
    (Files if store.is_local else Objects)(store.address).write("birds/CURRENT", b"no pointer")
    assert pointer_state(store, "birds", "third") == "2, broken"


@pytest.mark.slow
def test_a_model_is_not_pushed_over_a_version_that_it_was_not_held_against(push, store):
    push("one", run_key="a", run="1", compared=NOTHING)
    with pytest.raises(
        GraftError, match="birds version 1 is served now, but the gates held this model against nothing"
    ):
        push("two", run_key="b", run="2", compared=NOTHING)
    assert store.versions("birds") == [1]
    push("two", run_key="b", run="2", compared="1")
    store.rollback("birds", 1)
    with pytest.raises(
        GraftError, match="birds version 1 is served now, but the gates held this model against version 2"
    ):
        push("three", run_key="c", run="3", compared="2")
    assert store.served("birds") == 1


@pytest.mark.slow
@pytest.mark.parametrize("run_key", ["a", ""])
def test_a_push_that_is_tried_again_finds_its_own_version_and_is_content(push, store, run_key):
    """Its run was killed between the push and the end of the task."""
    push("one", run_key=run_key, run="1", compared=NOTHING)
    assert push("one", run_key=run_key, run="1", compared=NOTHING) == {"pushed_version": "1", "served_version": "1"}
    assert store.versions("birds") == [1]
