"""From counts to gates, without TFX: the dry run asks the same."""

from graft.components.ingest.summary import Summary
from graft.models.gates import Gate


def rejected_gate(summary: Summary, limit: float) -> Gate:
    """The gate on the fraction of examples that could not be used.

    Args:
      summary: The counts of ingestion.
      limit: Largest allowed fraction.
    """
    told = f"{summary.rejected_count} of {summary.total} {summary.unit} rejected: {summary.rejections}"
    detail = told if summary.rejected else ""
    value = summary.rejected_fraction
    return Gate("max_rejected", value, limit, value <= limit, detail)
