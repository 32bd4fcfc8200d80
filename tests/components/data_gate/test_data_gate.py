"""The data gate opens on good data and closes on anomalies and on too many rejected images."""

import json

import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.types import channel, standard_artifacts

from graft.components import gates
from graft.components.artifacts import DataBlessing, Rejected
from graft.components.data_gate.component import DataGate
from graft.components.data_gate.executor import Executor, Parameters, anomalies_gate
from graft.components.ingest.summary import Summary, read_summary

SCHEMA = """
feature { name: "label" type: BYTES domain: "classes" presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
string_domain { name: "classes" value: "cat" value: "dog" }
"""


def validate(labels: list[str]) -> anomalies_pb2.Anomalies:
    """What TFDV says of examples with these labels, against a curated schema of cat and dog."""
    import pandas

    statistics = tfdv.generate_statistics_from_dataframe(pandas.DataFrame({"label": labels}), n_jobs=1)
    return tfdv.validate_statistics(statistics, text_format.Parse(SCHEMA, schema_pb2.Schema()))


@pytest.fixture
def run(tmp_path):
    """run(labels of train, labels of eval, number of rejected of 1000) -> folder of the blessing."""

    def do(train, held_out=("cat", "dog"), rejected=0, **limits):
        anomalies = standard_artifacts.ExampleAnomalies()
        anomalies.uri = str(tmp_path / "anomalies")
        anomalies.split_names = '["train", "eval"]'
        for split, labels in (("train", train), ("eval", held_out)):
            folder = tmp_path / "anomalies" / f"Split-{split}"
            folder.mkdir(parents=True)
            (folder / "SchemaDiff.pb").write_bytes(validate(list(labels)).SerializeToString())
        counts = {"corrupt": rejected} if rejected else {}
        used, lines = {"train": {"cat": 1000 - rejected}}, {"corrupt": "the header or the pixels cannot be decoded"}
        total = {"train": 1000 - rejected}
        summary = Summary("images", used, total, {}, counts, lines if rejected else {}, 0, 1, 1.0, 1, {})
        (tmp_path / "rejected").mkdir()
        (tmp_path / "rejected" / "summary.json").write_text(json.dumps(vars(summary)))
        refused = Rejected()
        refused.uri = str(tmp_path / "rejected")
        assert read_summary(refused.uri) == summary
        blessing = DataBlessing()
        blessing.uri = str(tmp_path / "blessing")
        component = DataGate(
            channel.Channel(standard_artifacts.ExampleAnomalies),
            channel.Channel(Rejected),
            Parameters(**{"max_rejected": 0.01} | limits),
        )
        inputs = {"anomalies": [anomalies], "rejected": [refused]}
        Executor().Do(inputs, {"blessing": [blessing]}, component.exec_properties)
        return blessing.uri

    return do


def test_good_data_is_blessed(run):
    checked = gates.read_gates(run(["cat", "dog"], rejected=10))
    assert [(gate.name, gate.value, gate.limit, gate.passed) for gate in checked] == [
        ("max_rejected", 0.01, 0.01, True),
        ("anomalies", 0.0, 0.0, True),
    ]


def test_label_that_is_not_in_the_schema_closes_it(run):
    with pytest.raises(gates.GateClosed, match=r"label: .*bird.*\[train\]") as closed:
        run(["cat", "dog", "bird"])
    assert closed.value.stage == "data_gate"
    assert [gate.name for gate in closed.value.gates if not gate.passed] == ["anomalies"]


def test_anomaly_in_a_held_out_split_closes_it(run):
    with pytest.raises(gates.GateClosed, match=r"\[eval\]"):
        run(["cat", "dog"], ["cat", "bird"])


def test_one_anomaly_in_two_splits_is_one_line(run):
    with pytest.raises(gates.GateClosed, match=r"anomalies is 1, limit 0 .*\[train, eval\]"):
        run(["cat", "bird"], ["cat", "bird"])


def test_allowed_feature_is_listed_but_does_not_close(run):
    gate = gates.read_gates(run(["cat", "bird"], allow_anomalies=("label",)))[1]
    assert gate.passed and "(allowed)" in gate.detail


def test_too_many_rejected_images_close_it(run):
    with pytest.raises(gates.GateClosed, match=r"max_rejected is 0.011, limit 0.01 \(11 of 1000 images"):
        run(["cat", "dog"], rejected=11)


def test_verdict_is_written_even_when_closed(run, tmp_path):
    with pytest.raises(gates.GateClosed):
        run(["bird"], rejected=500)
    assert [gate.passed for gate in gates.read_gates(str(tmp_path / "blessing"))] == [False, False]


def test_missing_feature_and_empty_data_are_anomalies():
    missing = anomalies_pb2.Anomalies(data_missing=True)
    gate = anomalies_gate({"train": missing}, frozenset())
    assert not gate.passed and "holds no examples" in gate.detail
