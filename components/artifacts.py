"""Artifact types of Graft's own components.

A type is named by a path that its class can be imported by, `graft.NAME` (see the package itself), for TFX's
entrypoint on Kubeflow finds the class by that name, and takes names of two parts only.
"""

from tfx.types import artifact


class Rejected(artifact.Artifact):
    """What ingestion did not use: `rejected.jsonl` (file, label, reason, detail) and `summary.json` (counts)."""

    TYPE_NAME = "graft.Rejected"


class DataBlessing(artifact.Artifact):
    """The data gate's verdict: `gates.json`, a list of gates with value, limit and whether passed."""

    TYPE_NAME = "graft.DataBlessing"


class Features(artifact.Artifact):
    """Feature vectors of a frozen backbone, see `components.features.executor`."""

    TYPE_NAME = "graft.Features"


class Comparison(artifact.Artifact):
    """Transferring beside not transferring: `comparison.json`, see `models.references.negative_transfer`."""

    TYPE_NAME = "graft.Comparison"


class Quality(artifact.Artifact):
    """What the quality gate measured: `figures.json` and `gates.json`."""

    TYPE_NAME = "graft.Quality"


class LabelReview(artifact.Artifact):
    """Labels to look at again and near-duplicates: `labels.json`, see `components.labels.findings`."""

    TYPE_NAME = "graft.LabelReview"
