"""Contents to feature vectors in one pass: what the input prepares and the backbone as one frozen graph."""

import collections
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from graft.models.backbone import Backbone
from graft.models.errors import GraftError, kernel_reason
from graft.models.frozen import FrozenRunner
from graft.models.inputs.preparing import preparer
from graft.models.stored import reading

_CPU_BATCH, _GPU_BATCH = 4, 64
_BACKBONE = "backbone.json"


def feature_runner(backbone: Backbone, *, callers: int | None = None) -> FrozenRunner:
    """A frozen graph from `contents` (string `[n]`) to `output` (float32 `[n, feature_dim]`).

    It holds the weights that the backbone has now; close it after use.
    """

    prepare = preparer(backbone.takes)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="contents")], autograph=False)
    def features(contents):
        return backbone(prepare(contents), training=False)

    return FrozenRunner(features.get_concrete_function(), callers=callers)


def extract_features(
    backbone: Backbone,
    contents: Iterable[bytes],
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Computes the feature vector of each content, with the backbone in inference.

    Args:
        backbone: what to compute them with; it is left as it is.
        contents: as ingestion stored them; read once, a few batches ahead.
        batch_size: examples a call; by default 4, or 64 with a GPU. On a CPU small batches are faster, because the maps
            of a call stay in the cache of its core: `benchmarks/features.py` compares sizes.
        progress: called with the number of examples of each batch that is done.

    Returns:
        float32 `[n, feature_dim]`, in the order of `contents`; n may be 0.

    Raises:
        GraftError: if one cannot be decoded; it tells which, counted from 0.
    """
    if batch_size is None:
        batch_size = _GPU_BATCH if tf.config.list_physical_devices("GPU") else _CPU_BATCH
    under_way: collections.deque[list[bytes]] = collections.deque()

    def batches() -> Iterator[dict[str, np.ndarray]]:
        source = iter(contents)
        while batch := list(itertools.islice(source, batch_size)):
            under_way.append(batch)
            yield {"contents": np.array(batch, dtype=object)}

    parts = [np.zeros((0, backbone.feature_dim), np.float32)]
    with feature_runner(backbone) as runner:
        try:
            for result in runner.map(batches(), progress):
                parts.append(result["output"])
                under_way.popleft()
        except tf.errors.InvalidArgumentError as error:
            done = sum(len(part) for part in parts)
            raise _named_error(runner, backbone.takes.one, list(itertools.chain(*under_way)), done, error) from error
    return np.concatenate(parts)


def write_backbone(features_path: str | Path, backbone: Backbone) -> None:
    """Writes into a features artifact which backbone made it."""
    content = {"handle": backbone.handle, **_made_by(backbone)}
    (Path(features_path) / _BACKBONE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def check_same_backbone(features_path: str | Path, backbone: Backbone) -> None:
    """Checks that the features were made by this backbone; the same address may hold another one by now.

    Raises:
        GraftError: they were not, or the artifact does not say.
    """
    path = Path(features_path) / _BACKBONE
    with reading(path, "features"):
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    for key, value in _made_by(backbone).items():
        if stored.get(key) != value:
            raise GraftError(
                f"{path}: the features are of another backbone: {key} {stored.get(key)}, but backbone "
                f"{backbone.handle!r} has {value}; compute them again with --from features"
            )


def _made_by(backbone: Backbone) -> dict[str, Any]:
    """What decides the features of an example, as JSON types; not the handle, which is only an address."""
    return {
        "identity": backbone.identity,
        "input": backbone.takes.prepared_by,
        "feature_layer": backbone.feature_layer,
        "feature_dim": backbone.feature_dim,
    }


def _named_error(runner: FrozenRunner, one: str, contents: list[bytes], done: int, error: Exception) -> Exception:
    """The error with the place of the content that caused it, found by trying those under way one by one."""
    for place, content in enumerate(contents, start=done):
        try:
            runner(contents=np.array([content], dtype=object))
        except tf.errors.InvalidArgumentError as single:
            reason = kernel_reason(single.message)
            return GraftError(f"{one} {place} of the input ({len(content)} bytes) cannot be decoded: {reason}")
    return error
