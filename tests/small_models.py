"""Small SavedModels for the tests of the server."""

import pathlib

import numpy as np

CLASSES = ("apple", "bread", "cheese")


def _save(folder: pathlib.Path, module, signatures) -> pathlib.Path:
    import tensorflow as tf

    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def save_linear(folder: pathlib.Path, slope: float, offset: float) -> pathlib.Path:
    """y = slope * x + offset, with both in variables; a second signature of two inputs and two outputs."""
    import tensorflow as tf

    module = tf.Module()
    module.slope, module.offset = tf.Variable(slope), tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def line(x):
        return {"y": module.slope * x + module.offset}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="a"), tf.TensorSpec([None], tf.float32, name="b")]
    )
    def both(a, b):
        return {"sum": a + b + module.offset, "product": a * b * module.slope}

    module.line, module.both = line, both
    return _save(folder, module, {"serving_default": line, "both": both})


def save_zoo(folder: pathlib.Path) -> pathlib.Path:
    """Signatures of every kind: a table, a counter, a loop without end, and one for each dtype."""
    import tensorflow as tf

    zoo = tf.Module()
    zoo.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64)), -1
    )
    zoo.count = tf.Variable(0, dtype=tf.int64)
    zoo.weights = tf.Variable(tf.ones([4, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def lookup(word):
        return {"number": zoo.table.lookup(word)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="step")])
    def count(step):
        return {"count": zoo.count.assign_add(step)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="n")])
    def slow(n):
        state = tf.constant(0.0)
        for _ in tf.range(n):
            state = tf.math.sin(state + 1.0)
        return {"state": state}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def dense(x):
        return {"y": tf.linalg.matmul(x, zoo.weights)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="s")])
    def echo(s):
        return {"text": s, "raw_bytes": s}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scalar(x):
        return {"total": tf.reduce_sum(x), "x": x}

    signatures = {"lookup": lookup, "count": count, "slow": slow, "dense": dense, "echo": echo, "scalar": scalar}
    for kind in (tf.int64, tf.int8, tf.uint8, tf.bool, tf.float64, tf.half, tf.complex64):

        @tf.function(input_signature=[tf.TensorSpec([None], kind, name="x")])
        def same(x):
            return {"y": tf.identity(x)}

        signatures[kind.name] = same
    zoo.functions = list(signatures.values())
    return _save(folder, zoo, signatures)


def save_texts(folder: pathlib.Path) -> pathlib.Path:
    """The length of a text in bytes, and twice that, with the names of the two numbers."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def measure(text):
        length = tf.cast(tf.strings.length(text), tf.float32)[:, None]
        names = tf.tile(tf.constant([["bytes", "double"]]), [tf.shape(text)[0], 1])
        return {"values": length * [1.0, 2.0], "columns": names, "kind": tf.fill(tf.shape(text), "text")}

    module = tf.Module()
    module.measure = measure
    return _save(folder, module, {"serving_default": measure})


def save_odd(folder: pathlib.Path) -> pathlib.Path:
    """Signatures that take nothing, any rank, serialised tf.Examples; outputs without rows or columns."""
    import tensorflow as tf

    module = tf.Module()
    module.table = tf.Variable([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    vector = tf.TensorSpec([None], tf.float32, name="x")

    @tf.function(input_signature=[])
    def nothing():
        return {"y": tf.identity(module.table)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def any_rank(x):
        return {"y": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="s")])
    def echo(s):
        return {"text": tf.identity(s)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def parse(examples):
        return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})

    @tf.function(input_signature=[vector])
    def no_rows(x):
        return {"y": x[:0], "z": tf.zeros([0, 3])}

    @tf.function(input_signature=[vector])
    def no_columns(x):
        return {"y": x, "z": tf.zeros([tf.shape(x)[0], 0])}

    signatures = {
        "nothing": nothing,
        "any": any_rank,
        "echo": echo,
        "parse": parse,
        "no_rows": no_rows,
        "no_columns": no_columns,
    }
    module.functions = list(signatures.values())
    return _save(folder, module, signatures)


def save_counter(folder: pathlib.Path) -> pathlib.Path:
    """One signature reads a variable that others change, one of them in a branch; another reads its own."""
    import tensorflow as tf

    module = tf.Module()
    module.counter, module.slope = tf.Variable(0, dtype=tf.int64), tf.Variable(3.0)
    by = tf.TensorSpec([], tf.int64, name="by")

    @tf.function(input_signature=[by])
    def incr_counter(by):
        return {"count": module.counter.assign_add(by), "sent": tf.identity(by)}

    @tf.function(input_signature=[by])
    def incr_in_branch(by):
        return {"count": tf.cond(by > 0, lambda: module.counter.assign_add(by), lambda: module.counter.read_value())}

    @tf.function(input_signature=[])
    def get_counter():
        return {"count": tf.identity(module.counter)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scale(x):
        return {"y": x * module.slope}

    signatures = {
        "incr_counter": incr_counter,
        "incr_in_branch": incr_in_branch,
        "get_counter": get_counter,
        "scale": scale,
    }
    module.functions = list(signatures.values())
    return _save(folder, module, signatures)


def save_images(folder: pathlib.Path) -> pathlib.Path:
    """The signatures of Graft's export on a toy network: mean colour times fixed weights."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(np.eye(3, dtype=np.float32) / 32)
    module.classes = tf.constant(CLASSES)

    def colours(image_bytes):
        def one(encoded):
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return tf.reduce_mean(tf.cast(image, tf.float32), axis=(0, 1))

        return tf.ensure_shape(tf.map_fn(one, image_bytes, fn_output_signature=tf.float32), [None, 3])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def classify(image_bytes):
        scores = tf.linalg.matmul(colours(image_bytes), module.weights)
        count = tf.shape(scores)[0]
        return {
            "classes": tf.tile(module.classes[None], [count, 1]),
            "probabilities": tf.nn.softmax(scores),
            "scores": scores,
            "label": tf.gather(module.classes, tf.argmax(scores, axis=1)),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def features(image_bytes):
        return {"feature_vector": colours(image_bytes)}

    module.classify, module.features = classify, features
    return _save(folder, module, {"serving_default": classify, "features": features})
