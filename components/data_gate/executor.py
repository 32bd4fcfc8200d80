"""Executor of DataGate."""

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio

from graft.components import gates
from graft.components.data_gate.rules import rejected_gate
from graft.components.executor import Artifacts, BaseExecutor
from graft.components.ingest.summary import read_summary
from graft.components.parameters import BaseParameters

STAGE = "data_gate"
ANOMALIES_FILE = "SchemaDiff.pb"


IDENTIFIERS = ("file", "sha256")


class Parameters(BaseParameters):
    """Parameters of `DataGate`.

    Attributes:
        max_rejected: largest allowed fraction of rejected examples.
        allow_anomalies: features whose anomalies are reported but do not close the gate. By default those that differ
            from example to example: on few of them, SchemaGen infers a closed list of values.
    """

    max_rejected: float
    allow_anomalies: tuple[str, ...] = IDENTIFIERS


class Executor(BaseExecutor):
    """Holds anomalies and rejected examples against their limits."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Checks and writes `gates.json`.

        Args:
          inputs: `anomalies` and `rejected`, one artifact each.
          outputs: `blessing`.
          given: the limits.

        Raises:
          GateClosed: A limit does not hold; the message lists each anomaly with its feature and reason.
        """
        summary = read_summary(inputs.uri("rejected"))
        found = {
            split: _read_anomalies(f"{inputs.split_uri('anomalies', split)}/{ANOMALIES_FILE}")
            for split in inputs.splits("anomalies")
        }
        checked = [
            rejected_gate(summary, given.max_rejected),
            anomalies_gate(found, frozenset(given.allow_anomalies)),
        ]
        gates.write_gates(outputs.uri("blessing"), checked)
        gates.check(STAGE, checked)


def anomalies_gate(found: dict[str, anomalies_pb2.Anomalies], allowed: frozenset[str]) -> gates.Gate:
    """The gate on anomalies against the schema: none is allowed but on the features that `allowed` names.

    Args:
      found: split -> what ExampleValidator wrote.
      allowed: Features whose anomalies do not count.
    """
    # The same anomaly in several splits is one line for the reader.
    splits: dict[tuple[str, str], list[str]] = {}
    for split, anomalies in found.items():
        for feature, text in _list_anomalies(anomalies):
            splits.setdefault((feature, text), []).append(split)
    counted = [key for key in splits if key[0] not in allowed]
    lines = [
        f"{feature}: {text} [{', '.join(names)}]{'' if feature not in allowed else ' (allowed)'}"
        for (feature, text), names in splits.items()
    ]
    return gates.Gate("anomalies", float(len(counted)), 0.0, not counted, "; ".join(lines))


def _list_anomalies(anomalies: anomalies_pb2.Anomalies) -> list[tuple[str, str]]:
    rows = []
    for feature, info in sorted(anomalies.anomaly_info.items()):
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            reasons = [f"{reason.short_description}: {reason.description}".strip() for reason in info.reason]
            rows.append((feature, " ".join(reasons) or info.description))
    if anomalies.HasField("dataset_anomaly_info"):
        rows.append(("data set", anomalies.dataset_anomaly_info.description))
    if anomalies.data_missing:
        rows.append(("data set", "holds no examples"))
    return rows


def _read_anomalies(path: str) -> anomalies_pb2.Anomalies:
    with fileio.open(path, "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())
