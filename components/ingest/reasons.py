"""Why an example is not used. The codes are stable: they stand in artifacts, gates and the report.

Here are those of ingestion itself; an input has its `REASONS`, and so has a target.
"""

import enum


class Reason(enum.StrEnum):
    """Reason codes of `rejected.jsonl`."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    LABEL_CONFLICT = "label_conflict"
    SPLIT_CONFLICT = "split_conflict"
    BAD_SPLIT = "bad_split"
    BAD_GROUP = "bad_group"
    BAD_DOMAIN = "bad_domain"
    BAD_WEIGHT = "bad_weight"


EXPLANATIONS = {
    str(Reason.UNREADABLE): "the content is missing, may not be read or is no regular file",
    str(Reason.TOO_LARGE): "the content is larger than input.max_bytes",
    str(Reason.LABEL_CONFLICT): "the same bytes stand under two labels",
    str(Reason.SPLIT_CONFLICT): (
        "the same bytes or their group stand in two splits; what is in the held-out one is used"
    ),
    str(Reason.BAD_SPLIT): "the split column holds something else than train, eval or test",
    str(Reason.BAD_GROUP): "the column data.group holds a list where one value is due",
    str(Reason.BAD_DOMAIN): "the column data.domain.column holds a list where one value is due",
    str(Reason.BAD_WEIGHT): "the column data.weight holds no finite number above 0",
}
"""One line for people for each."""
