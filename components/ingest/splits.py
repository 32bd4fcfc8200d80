"""Which split an example is in: told by its content, so that new files move no others and copies stay together."""

SPLITS = ("train", "eval", "test")

# Held-out splits win over training when copies of one content name several: keeping the training copy would leak.
PRECEDENCE = ("test", "eval", "train")

_NAMES = {
    "train": "train",
    "training": "train",
    "eval": "eval",
    "val": "eval",
    "valid": "eval",
    "validation": "eval",
    "dev": "eval",
    "test": "test",
    "testing": "test",
}


def parse_split(name: str) -> str | None:
    """The split that `name` stands for (`val` and `validation` are `eval`), or None when it stands for none."""
    return _NAMES.get(name.strip().lower())


def assign_split(digest: bytes, *, eval_fraction: float, test_fraction: float) -> str:
    """Splits by content.

    Args:
      digest: sha256 of the content, 32 bytes. Its first 8 bytes, read as a fraction of 2**64, are uniform on
        [0, 1): below `test_fraction` lies test, then `eval_fraction` wide eval, then train.
      eval_fraction: Expected fraction of eval.
      test_fraction: Expected fraction of test.

    Returns:
      One of `SPLITS`.
    """
    u = int.from_bytes(digest[:8], "big") / 2.0**64
    if u < test_fraction:
        return "test"
    if u < test_fraction + eval_fraction:
        return "eval"
    return "train"
