"""Artifact types of Graft's own components."""

from tfx.types import artifact


class Rejected(artifact.Artifact):
    """What ingestion did not use: `rejected.jsonl` (file, label, reason, detail) and `summary.json` (counts)."""

    TYPE_NAME = "Rejected"


class DataBlessing(artifact.Artifact):
    """The data gate's verdict: `gates.json`, a list of gates with value, limit and whether passed."""

    TYPE_NAME = "DataBlessing"


class Features(artifact.Artifact):
    """Feature vectors of a frozen backbone, see `components.features.executor`."""

    TYPE_NAME = "Features"


class Comparison(artifact.Artifact):
    """Transferring beside not transferring: `comparison.json`, see `models.references.negative_transfer`."""

    TYPE_NAME = "Comparison"


class Quality(artifact.Artifact):
    """What the quality gate measured: `predictions.npz`, `figures.json` and `gates.json`."""

    TYPE_NAME = "Quality"
