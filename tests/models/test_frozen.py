"""The frozen runner against eager calls of the same functions."""

import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from graft.models.empty_batch import never_empty
from graft.models.errors import GraftError
from graft.models.frozen import FrozenRunner

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def network() -> tf.Module:
    """Two convolutions with a fixed batch normalisation between them: what Grappler folds."""
    module = tf.Module()
    init = tf.random.stateless_normal
    module.first = tf.Variable(init([3, 3, 3, 8], [0, 1]))
    module.scale = tf.Variable(init([8], [0, 2]))
    module.second = tf.Variable(init([3, 3, 8, 4], [0, 3]))

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32, name="images")])
    def call(images):
        return never_empty(convolve, images)

    def convolve(images):
        hidden = tf.nn.relu(tf.nn.conv2d(images, module.first, 1, "SAME") * module.scale)
        return tf.reduce_mean(tf.nn.conv2d(hidden, module.second, 1, "SAME"), axis=[1, 2])

    module.call = call
    return module


def batches(count: int, size: int = 3) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{"images": rng.normal(size=(size, 12, 12, 3)).astype(np.float32)} for _ in range(count)]


def sleeper():
    """Waits as many hundredths of a second as its input says, and fails on negative ones."""

    def wait(values):
        for value in values:
            if value < 0:
                raise ValueError("negative")
            time.sleep(float(value) / 100)
        return values

    spec = tf.TensorSpec([None], tf.float32, name="values")
    return tf.function(lambda values: tf.numpy_function(wait, [values], tf.float32), input_signature=[spec])


def test_answers_equal_the_eager_ones_and_hold_the_weights_of_then(network):
    with FrozenRunner(network.call.get_concrete_function()) as runner:
        inputs = batches(1, 5)[0]
        before = network.call(**inputs).numpy()
        assert runner.input_names == ["images"] and runner.output_names == ["output"]
        np.testing.assert_allclose(runner(**inputs)["output"], before, atol=1e-4)
        network.scale.assign(network.scale * 2)
        np.testing.assert_allclose(runner(**inputs)["output"], before, atol=1e-4)
        assert np.abs(network.call(**inputs).numpy() - before).max() > 1e-2
        network.scale.assign(network.scale / 2)


def test_empty_batch(network):
    with FrozenRunner(network.call.get_concrete_function()) as runner:
        assert runner(images=np.zeros((0, 12, 12, 3), np.float32))["output"].shape == (0, 4)


def test_names_follow_the_function():
    specs = [tf.TensorSpec([None], tf.float32, name="second"), tf.TensorSpec([None], tf.string, name="first")]

    @tf.function(input_signature=specs)
    def call(second, first):
        return {"z": second + 1.0, "a": tf.strings.length(first)}

    with FrozenRunner(call.get_concrete_function()) as runner:
        result = runner(first=np.array([b"abc"], object), second=np.array([1.0], np.float32))
        assert result["z"].tolist() == [2.0] and result["a"].tolist() == [3]
        with pytest.raises(GraftError, match="inputs must be second, first; received first"):
            runner(first=np.array([b"abc"], object))


def test_signature_of_a_saved_model(network, tmp_path):
    tf.saved_model.save(network, str(tmp_path), signatures={"serving_default": network.call})
    loaded = tf.saved_model.load(str(tmp_path))
    inputs = batches(1)[0]
    with FrozenRunner(loaded.signatures["serving_default"]) as runner:
        np.testing.assert_allclose(runner(**inputs)[runner.output_names[0]], network.call(**inputs), atol=1e-4)


def test_map_keeps_the_order_and_reports_progress():
    inputs = [{"values": np.array([wait, wait], np.float32)} for wait in (6, 0, 3, 0, 0, 1, 0)]
    done = []
    with FrozenRunner(sleeper().get_concrete_function(), callers=3) as runner:
        results = [result["output"][0] for result in runner.map(inputs, done.append)]
    assert results == [6, 0, 3, 0, 0, 1, 0]
    assert done == [2] * 7


def test_map_reads_only_a_few_batches_ahead(network):
    read = []

    def source():
        for number, batch in enumerate(batches(40)):
            read.append(number)
            yield batch

    with FrozenRunner(network.call.get_concrete_function(), callers=2) as runner:
        results = runner.map(source())
        for taken in range(1, 11):
            next(results)
            assert len(read) <= taken + 2 * runner.callers
        results.close()
        assert len(read) < 20


def test_map_raises_at_once_and_the_runner_still_works():
    waits = [50, -1, *[1] * 50]
    with FrozenRunner(sleeper().get_concrete_function(), callers=2) as runner:
        start = time.monotonic()
        with pytest.raises(tf.errors.OpError, match="negative"):
            list(runner.map({"values": np.array([wait], np.float32)} for wait in waits))
        assert time.monotonic() - start < 0.4  # the batch before it takes 0.5 s
        assert runner(values=np.array([0.0], np.float32))["output"].tolist() == [0.0]


def test_error_of_the_source_comes_through(network):
    def source():
        yield from batches(2)
        raise OSError("the disk is gone")

    with FrozenRunner(network.call.get_concrete_function()) as runner, pytest.raises(OSError, match="the disk is gone"):
        list(runner.map(source()))


def test_many_threads_get_their_own_answers(network):
    inputs = batches(32)
    answers: list = [None] * len(inputs)
    with FrozenRunner(network.call.get_concrete_function()) as runner:

        def work(place):
            answers[place] = runner(**inputs[place])["output"]

        threads = [threading.Thread(target=work, args=[place]) for place in range(len(inputs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for given, answer in zip(inputs, answers, strict=True):
        np.testing.assert_allclose(answer, network.call(**given), atol=1e-4)


def test_callers_run_side_by_side():
    with FrozenRunner(sleeper().get_concrete_function(), callers=4) as runner:
        start = time.monotonic()
        list(runner.map({"values": np.array([20], np.float32)} for _ in range(4)))
        # numpy_function holds the interpreter only while it is not asleep.
        assert time.monotonic() - start < 0.6


def test_hash_table_is_refused():
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([b"a"], [1]), -1)
    call = tf.function(table.lookup, input_signature=[tf.TensorSpec([None], tf.string, name="keys")])
    with pytest.raises(GraftError, match="cannot be frozen"):
        FrozenRunner(call.get_concrete_function())


def test_list_of_outputs_is_refused():
    call = tf.function(lambda x: [x, x], input_signature=[tf.TensorSpec([None], tf.float32)])
    with pytest.raises(GraftError, match="one tensor or a dict"):
        FrozenRunner(call.get_concrete_function())
