"""TFRecord shards of one chunk, written under a working name and given their final one when all are there."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from components.ingest.splits import SPLITS

DIGEST_BYTES = 32


def work_folder(examples_uri: str) -> str:
    """Where shards and notes lie while ingestion runs."""
    return f"{examples_uri}/.ingest"


def shard_path(folder: str, chunk: str, split: str, *, clean: bool = False) -> str:
    """Working name of a shard; `clean` is the copy without conflicting images."""
    return f"{folder}/{chunk}.{split}{'.clean' if clean else ''}.tfrecord"


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """A fresh name to write to, renamed to `path` at the end: a repeated or doubled bundle leaves one whole file."""
    fresh = f"{path}.{uuid.uuid4().hex}"
    try:
        yield fresh
    except BaseException:
        if tf.io.gfile.exists(fresh):
            tf.io.gfile.remove(fresh)
        raise
    tf.io.gfile.rename(fresh, path, overwrite=True)


def write_note(folder: str, name: str, note: dict[str, Any]) -> None:
    """Writes a JSON note from a worker to the driver."""
    with replacing(f"{folder}/{name}.json") as path, tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(note))


def read_notes(folder: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Reads the notes whose name starts with `prefix`, in the order of their names."""
    for name in sorted(tf.io.gfile.listdir(folder)):
        if not (name.startswith(prefix) and name.endswith(".json")):
            continue
        with tf.io.gfile.GFile(f"{folder}/{name}", "r") as file:
            yield json.loads(file.read())


class ShardWriter:
    """Writes the examples of one chunk, a shard a split, with the digests beside them.

    Use as a context manager; files appear at its end, and only when it ends well.
    """

    def __init__(self, folder: str, chunk: str, *, clean: bool = False):
        self._folder, self._chunk, self._clean = folder, chunk, clean
        self._stack = contextlib.ExitStack()
        self._writers: dict[str, tf.io.TFRecordWriter] = {}
        self._digests: dict[str, list[bytes]] = {}

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)
        if error[0] is None:
            for split, digests in self._digests.items():
                with replacing(f"{self._path(split)}.sha256") as fresh, tf.io.gfile.GFile(fresh, "wb") as file:
                    file.write(b"".join(digests))

    def open(self, split: str) -> None:
        """Makes sure that there is a shard for `split`, if an empty one."""
        if split not in self._writers:
            writer = tf.io.TFRecordWriter(self._stack.enter_context(replacing(self._path(split))))
            self._writers[split] = self._stack.enter_context(writer)
            self._digests[split] = []

    def write(self, split: str, digest: bytes, example: bytes) -> int:
        """Appends a serialized example and returns its position in the shard."""
        self.open(split)
        self._writers[split].write(example)
        self._digests[split].append(digest)
        return len(self._digests[split]) - 1

    def _path(self, split: str) -> str:
        return shard_path(self._folder, self._chunk, split, clean=self._clean)


def read_shard(path: str) -> Iterator[bytes]:
    """The serialized examples of a shard, in order."""
    return tf.data.TFRecordDataset(path).as_numpy_iterator()


def final_shards(folder: str) -> dict[str, list[str]]:
    """Working names of the shards to keep, per split, in the order of the chunks: the clean copy where there is one."""
    names = set(tf.io.gfile.listdir(folder))
    shards: dict[str, list[str]] = {}
    for split in SPLITS:
        chosen = []
        for name in sorted(name for name in names if name.endswith(f".{split}.tfrecord")):
            clean = name.removesuffix(".tfrecord") + ".clean.tfrecord"
            chosen.append(f"{folder}/{clean if clean in names else name}")
        shards[split] = [path for path in chosen if digests(path)]
    return shards


def digests(path: str) -> bytes:
    """The sha256 digests of a shard's images, 32 bytes each, in order; empty when no image is left in it."""
    with tf.io.gfile.GFile(f"{path}.sha256", "rb") as file:
        return file.read()


def publish(examples_uri: str, shards: dict[str, list[str]]) -> None:
    """Renames the shards to `Split-<split>/data_tfrecord-NNNNN-of-MMMMM` and drops the working folder."""
    for split, paths in shards.items():
        target = f"{examples_uri}/Split-{split}"
        tf.io.gfile.makedirs(target)
        for number, path in enumerate(paths):
            name = f"data_tfrecord-{number:05d}-of-{len(paths):05d}"
            tf.io.gfile.rename(path, f"{target}/{name}", overwrite=True)
    tf.io.gfile.rmtree(work_folder(examples_uri))
