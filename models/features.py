"""Encoded images to feature vectors in one pass: decode, resize and backbone as one frozen graph."""

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
from graft.models.inputs.image.decoding import preprocess
from graft.models.stored import reading

_CPU_BATCH, _GPU_BATCH = 4, 64
_BACKBONE = "backbone.json"


def feature_runner(backbone: Backbone, *, callers: int | None = None) -> FrozenRunner:
    """A frozen graph from `encoded` (string `[n]`) to `output` (float32 `[n, feature_dim]`).

    It holds the weights that the backbone has now; close it after use.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="encoded")], autograph=False)
    def features(encoded):
        return backbone(preprocess(encoded, backbone.image_size, backbone.value_range), training=False)

    return FrozenRunner(features.get_concrete_function(), callers=callers)


def extract_features(
    backbone: Backbone,
    encoded: Iterable[bytes],
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Computes the feature vector of each image, with the backbone in inference.

    Args:
        backbone: what to compute them with; it is left as it is.
        encoded: the bytes of JPEG, PNG, GIF or BMP files; read once, a few batches ahead.
        batch_size: images a call; by default 4, or 64 with a GPU. On a CPU small batches are faster, because the maps
            of a call stay in the cache of its core: `benchmarks/features.py` compares sizes.
        progress: called with the number of images of each batch that is done.

    Returns:
        float32 `[n, feature_dim]`, in the order of `encoded`; n may be 0.

    Raises:
        GraftError: if an image cannot be decoded; it tells which, counted from 0.
    """
    if batch_size is None:
        batch_size = _GPU_BATCH if tf.config.list_physical_devices("GPU") else _CPU_BATCH
    under_way: collections.deque[list[bytes]] = collections.deque()

    def batches() -> Iterator[dict[str, np.ndarray]]:
        images = iter(encoded)
        while batch := list(itertools.islice(images, batch_size)):
            under_way.append(batch)
            yield {"encoded": np.array(batch, dtype=object)}

    parts = [np.zeros((0, backbone.feature_dim), np.float32)]
    with feature_runner(backbone) as runner:
        try:
            for result in runner.map(batches(), progress):
                parts.append(result["output"])
                under_way.popleft()
        except tf.errors.InvalidArgumentError as error:
            done = sum(len(part) for part in parts)
            raise _named_error(runner, list(itertools.chain(*under_way)), done, error) from error
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
    """What decides the features of an image, as JSON types; not the handle, which is only an address."""
    return {
        "identity": backbone.identity,
        "image_size": list(backbone.image_size),
        "value_range": [float(value) for value in backbone.value_range],
        "feature_layer": backbone.feature_layer,
        "feature_dim": backbone.feature_dim,
    }


def _named_error(runner: FrozenRunner, images: list[bytes], done: int, error: Exception) -> Exception:
    """The error with the place of the image that caused it, found by trying those under way one by one."""
    for place, image in enumerate(images, start=done):
        try:
            runner(encoded=np.array([image], dtype=object))
        except tf.errors.InvalidArgumentError as single:
            reason = kernel_reason(single.message)
            return GraftError(f"image {place} of the input ({len(image)} bytes) cannot be decoded: {reason}")
    return error
