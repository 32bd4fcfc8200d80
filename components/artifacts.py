"""Artifact types of Graft's own components."""

from tfx.types import artifact


class Rejected(artifact.Artifact):
    """What ingestion did not use: `rejected.jsonl` (file, label, reason, detail) and `summary.json` (counts)."""

    TYPE_NAME = "Rejected"


class DataBlessing(artifact.Artifact):
    """The data gate's verdict: `gates.json`, a list of gates with value, limit and whether passed."""

    TYPE_NAME = "DataBlessing"
