"""Reading the `Examples` that `ingest` writes."""

import pathlib
from collections.abc import Iterable, Iterator

import tensorflow as tf

from graft.models.errors import GraftError


def split_files(examples_uri: str, split: str) -> list[str]:
    """The sorted TFRecord shards of one split; GraftError where there are none."""
    files = sorted(str(p) for p in pathlib.Path(examples_uri, f"Split-{split}").glob("*"))
    if not files:
        raise GraftError(f"{examples_uri}: no shards of split {split!r}")
    return files


def read_examples(files: list[str], features: Iterable[str]) -> Iterator[dict[str, bytes]]:
    """Yields the named single-valued bytes features of each example, in file order."""
    names = tuple(features)
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        yield {name: feature[name].bytes_list.value[0] for name in names}
