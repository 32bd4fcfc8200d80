"""SavedModels that do more than compute: each writes a file, at a place where a reader may not look."""

import pathlib
from collections.abc import Callable

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SIZE = (16, 16)


class _Network(tf.train.Checkpoint):
    """A feature vector of 3: the mean of each channel."""

    def __init__(self, side_effect: Callable[[], None]):
        super().__init__()
        self.gain = tf.Variable([1.0, 1.0, 1.0], name="gain")
        self.variables = self.trainable_variables = [self.gain]
        self._effect = side_effect

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 3], tf.float32)])
    def __call__(self, images):
        self._effect()
        return tf.reduce_mean(images, axis=[1, 2]) * self.gain


class _Resource(tf.saved_model.experimental.TrackableResource):
    """What TensorFlow initialises while it loads."""

    def __init__(self, side_effect: Callable[[], None]):
        super().__init__()
        self._effect = side_effect

    def _create_resource(self):
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

    def _initialize(self):
        self._effect()


def save(folder: pathlib.Path, place: str, effect: Callable[[], None]) -> pathlib.Path:
    """Saves a network that runs `effect` at `place`: one of `PLACES`, or "nowhere"."""
    inner = tf.function(effect)
    in_call = {
        "call": effect,
        "function": inner,
        "nested function": tf.function(lambda: inner()),
        "while": lambda: tf.while_loop(lambda i: i < 1, lambda i: (inner(), i + 1)[1:], [0]),
        "if": lambda: tf.cond(tf.random.uniform([]) < 2.0, lambda: (inner(), 1)[1], lambda: 0),
    }
    network = _Network(in_call.get(place, lambda: None))
    if place == "initialiser":
        network.table = _Resource(effect)
    if place == "another function":
        network.other = tf.function(effect, input_signature=[])
    tf.saved_model.save(network, str(folder), signatures=network.__call__)
    return folder


PLACES = ("call", "function", "nested function", "while", "if", "initialiser", "another function")


def write_to(path: pathlib.Path) -> Callable[[], None]:
    """The effect: `path` is written."""

    def effect() -> None:
        tf.io.write_file(str(path), "was here")

    return effect


def edit(folder: pathlib.Path, change: Callable[[saved_model_pb2.SavedModel], None]) -> pathlib.Path:
    """Changes saved_model.pb by hand."""
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return folder


def function(proto: saved_model_pb2.SavedModel, part: str):
    """The first function whose name holds `part`."""
    return next(f for f in proto.meta_graphs[0].graph_def.library.function if part in f.signature.name)


def add_write(node_defs, path: pathlib.Path, main: bool = False) -> str:
    """Adds a WriteFile to a graph or function; returns its name."""
    for name, value in (("evil/name", str(path)), ("evil/text", "was here")):
        constant = node_defs.add(name=name, op="Const")
        constant.attr["dtype"].type = tf.string.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    suffix = "" if main else ":output:0"
    node_defs.add(name="evil/write", op="WriteFile", input=[f"evil/name{suffix}", f"evil/text{suffix}"])
    return "evil/write"
