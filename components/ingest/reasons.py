"""Why an image is not used. The codes are stable: they stand in artifacts, gates and the report."""

import enum


class Reason(enum.StrEnum):
    """Reason codes of `rejected.jsonl`."""

    UNREADABLE = "unreadable"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED_TYPE = "unsupported_type"
    CORRUPT = "corrupt"
    LABEL_CONFLICT = "label_conflict"
    SPLIT_CONFLICT = "split_conflict"
    UNKNOWN_LABEL = "unknown_label"
    BAD_LABEL = "bad_label"
    BAD_SPLIT = "bad_split"
    BAD_GROUP = "bad_group"

    @property
    def explanation(self) -> str:
        """One line for people."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Reason.UNREADABLE: "the file is missing, may not be read or is no regular file",
    Reason.EMPTY: "the file has no bytes",
    Reason.TOO_LARGE: "the encoded file is larger than data.max_bytes",
    Reason.TOO_MANY_PIXELS: "the header announces more pixels than data.max_pixels, or hundreds of passes over them",
    Reason.UNKNOWN_TYPE: "the first bytes are of no known image type",
    Reason.UNSUPPORTED_TYPE: "an image, but not JPEG, PNG, GIF, BMP, WebP or a TIFF that is converted",
    Reason.CORRUPT: "the header or the pixels cannot be decoded",
    Reason.LABEL_CONFLICT: "the same bytes stand under two labels",
    Reason.SPLIT_CONFLICT: "the same bytes or their group stand in two splits; what is in the held-out one is used",
    Reason.UNKNOWN_LABEL: "no label, or one that is not in data.class_names",
    Reason.BAD_LABEL: "the class name holds a line break or another control character",
    Reason.BAD_SPLIT: "the split column holds something else than train, eval or test",
    Reason.BAD_GROUP: "the column data.group holds a list where one value is due",
}
