"""The engine: the answers, words and codes of TensorFlow Serving's kernels, plain and frozen."""

import concurrent.futures
import shutil
import subprocess
import sys
import time

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from graft.serving.engine import MAX_FETCH_SETS, Engine
from graft.serving.status import ServingError


@pytest.fixture(scope="module", params=[True, False], ids=["frozen", "plain"])
def zoo(request, models):
    engine = Engine(models["zoo"], freeze=request.param)
    yield engine
    engine.close()


@pytest.fixture(scope="module", params=[True, False], ids=["frozen", "plain"])
def half_plus_two(request, models):
    engine = Engine(models["half_plus_two"], freeze=request.param)
    yield engine
    engine.close()


def refused(engine, name, inputs, outputs=(), timeout_s=None) -> ServingError:
    with pytest.raises(ServingError) as caught:
        engine.run(name, inputs, outputs, timeout_s)
    return caught.value


@pytest.mark.slow
def test_runs_any_batch_size_including_zero(half_plus_two):
    for size in (0, 1, 7):
        x = np.arange(size, dtype=np.float32)
        np.testing.assert_array_equal(half_plus_two.run("serving_default", {"x": x})["y"], 0.5 * x + 2)


@pytest.mark.slow
def test_only_the_wanted_outputs_are_answered(half_plus_two):
    inputs = {"a": np.float32([2]), "b": np.float32([3])}
    assert half_plus_two.run("both", inputs) == {"product": 3.0, "sum": 7.0}
    assert half_plus_two.run("both", inputs, ["sum"]) == {"sum": 7.0}
    error = refused(half_plus_two, "both", inputs, ["z"])
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (
        "output tensor alias not found in signature: z Outputs expected to be in the set {product,sum}" in error.message
    )


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "Sent extra: {}. Missing but required: {x}"),
        ({"w": [1], "z": [2]}, "Sent extra: {w,z}. Missing but required: {x}"),
        ({"x": [1], "z": [2]}, "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}."),
        ({"z": [1]}, "Signature input alias: x(feed name: "),
    ],
)
def test_wrong_input_names(half_plus_two, inputs, words):
    error = refused(half_plus_two, "serving_default", {name: np.float32(value) for name, value in inputs.items()})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and words in error.message


@pytest.mark.parametrize("wrong", [np.array([1]), np.array([b"1"], dtype=object), np.array([True]), np.array([1.0])])
def test_no_silent_cast(half_plus_two, wrong):
    error = refused(half_plus_two, "serving_default", {"x": wrong})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    sent = "string" if wrong.dtype == object else {"float64": "double"}.get(wrong.dtype.name, wrong.dtype.name)
    assert "float" in error.message and sent in error.message


def test_shape_faults_come_from_the_kernel(zoo):
    error = refused(zoo, "dense", {"x": np.zeros([1, 3], np.float32)})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "Matrix size-incompatible" in error.message
    error = refused(zoo, "dense", {"x": np.zeros([3], np.float32)})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "ndims" in error.message


def test_a_run_past_its_time_is_stopped(zoo):
    start = time.monotonic()
    error = refused(zoo, "slow", {"n": np.int32(2_000_000_000)}, timeout_s=0.2)
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 5
    assert zoo.run("slow", {"n": np.int32(3)}, timeout_s=30)["state"] > 0
    assert refused(zoo, "slow", {"n": np.int32(1)}, timeout_s=0).code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_state_is_kept_where_freezing_would_lose_it(models):
    engine = Engine(models["zoo"])
    assert "dense" in engine.frozen and not {"lookup", "count"} & engine.frozen
    words = np.array([b"b", b"a", b"?"], dtype=object)
    np.testing.assert_array_equal(engine.run("lookup", {"word": words})["number"], [2, 1, -1])
    assert [int(engine.run("count", {"step": np.int64(2)})["count"]) for _ in range(3)] == [2, 4, 6]
    engine.close()


def test_everything_is_frozen_where_it_can_be_and_nothing_if_told_so(models):
    frozen, plain = Engine(models["images"]), Engine(models["images"], freeze=False)
    assert frozen.frozen == {"serving_default"} and not plain.frozen, "features reads no variable"
    frozen.close()
    plain.close()


def test_frozen_answers_equal_plain_ones(models, png):
    images = np.array([png((200, 10, 10)), png((10, 200, 10)), png((1, 2, 3))], dtype=object)
    frozen, plain = Engine(models["images"]), Engine(models["images"], freeze=False)
    for name in ("serving_default", "features"):
        one, other = frozen.run(name, {"image_bytes": images}), plain.run(name, {"image_bytes": images})
        assert one.keys() == other.keys()
        for alias in one:
            if one[alias].dtype == object:
                assert one[alias].tolist() == other[alias].tolist()
            else:
                np.testing.assert_allclose(one[alias], other[alias], atol=1e-5)
    frozen.close()
    plain.close()


def test_corrupt_image_bytes(models):
    engine = Engine(models["images"])
    error = refused(engine, "serving_default", {"image_bytes": np.array([b"no image"], dtype=object)})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "Unknown image file format" in error.message
    engine.close()


def test_many_threads_get_their_own_answers(half_plus_two):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: half_plus_two.run("serving_default", {"x": np.float32([n])})["y"][0], range(200))
        assert list(answers) == [0.5 * n + 2 for n in range(200)]


def test_a_filter_runs_only_what_is_wanted(tmp_path):
    folder = save_picky(tmp_path / "picky")
    words = {"word": np.array([b"12", b"seven"], dtype=object)}
    for freeze in (True, False):
        engine = Engine(folder, freeze=freeze)
        assert ("serving_default" in engine.frozen) is freeze
        assert engine.run("serving_default", words, ["scaled"])["scaled"].tolist() == [4.0, 10.0]
        error = refused(engine, "serving_default", words)
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "seven" in error.message
        engine.close()


def test_a_filter_leaves_no_side_effect_out(models):
    engine = Engine(models["counter"])
    assert engine.run("incr_counter", {"by": np.int64(3)}, ["sent"]) == {"sent": 3}
    assert engine.run("get_counter", {})["count"] == 3
    engine.close()


@pytest.mark.slow
def test_filters_beyond_those_kept_answer_the_same(tmp_path):
    engine = Engine(save_picky(tmp_path / "picky"))
    words = {"word": np.array([b"1", b"20"], dtype=object)}
    everything = engine.run("serving_default", words)
    names = [f"times_{number}" for number in range(6)]
    for mask in range(1, 2 ** len(names)):
        wanted = [name for bit, name in enumerate(names) if mask & 1 << bit]
        answers = engine.run("serving_default", words, wanted, timeout_s=60)
        assert sorted(answers) == wanted
        for name in wanted:
            np.testing.assert_array_equal(answers[name], everything[name])
    assert len(engine._fetch_sets["serving_default"]) <= MAX_FETCH_SETS + 1
    # The way of those that are not kept checks, stops and explains like the other.
    error = refused(engine, "serving_default", {"word": np.float32([1])}, names[:-1])
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "float" in error.message and "string" in error.message
    engine.close()


def save_picky(folder):
    """A signature of eight outputs, one of which fails for words that are no numbers."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def call(word):
        length = tf.cast(tf.strings.length(word), tf.float32)
        return {
            "number": tf.strings.to_number(word) * module.scale,
            "scaled": length * module.scale,
            **{f"times_{number}": length * module.scale * float(number) for number in range(6)},
        }

    module.call = call
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


@pytest.mark.parametrize("freeze", [True, False])
def test_functions_that_check_what_they_get_are_inlined(tmp_path, freeze):
    engine = Engine(save_checking(tmp_path / "checking"), freeze=freeze)
    ((loaded, fetched),) = engine._fetches["serving_default"].items()
    feed = {engine.signatures["serving_default"].inputs["x"].name: np.float32([1, 2])}
    assert calls(engine, fetched, feed) == []
    graph = engine._session.graph
    source = graph.get_operation_by_name(fetched.partition(":")[0]).inputs[0]
    assert (source.name == loaded) is not freeze
    with graph.as_default():
        plain = tf.identity(source)
    assert calls(engine, plain.name, feed) == ["StatefulPartitionedCall"]
    assert refused(engine, "serving_default", {"x": np.float32([-1])}).code is grpc.StatusCode.INVALID_ARGUMENT
    engine.close()


def save_checking(folder):
    """A signature whose function calls another that refuses negative numbers."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None])], autograph=False)
    def checked(x):
        with tf.control_dependencies([tf.raw_ops.Assert(condition=tf.reduce_all(x >= 0), data=[x])]):
            return tf.sqrt(x)

    @tf.function(input_signature=[tf.TensorSpec([None], name="x")], autograph=False)
    def call(x):
        return {"y": checked(x) * module.scale}

    module.checked = checked
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


def calls(engine, fetched, feed):
    """The function calls in what a session runs."""
    told = tf1.RunMetadata()
    engine._session.run(fetched, feed, tf1.RunOptions(output_partition_graphs=True), told)
    return [node.op for graph in told.partition_graphs for node in graph.node if "PartitionedCall" in node.op]


def test_a_variable_that_a_signature_changes_is_never_a_constant(models):
    engine = Engine(models["counter"])
    assert engine.frozen == {"scale"}, "what reads the counter is not frozen, what does not is"
    increase = {"by": np.int64(3)}
    assert [int(engine.run("incr_counter", increase)["count"]) for _ in range(2)] == [3, 6]
    assert engine.run("get_counter", {})["count"] == 6
    assert engine.run("incr_in_branch", {"by": np.int64(1)})["count"] == 7
    assert engine.run("get_counter", {})["count"] == 7
    assert engine.run("scale", {"x": np.float32([2])})["y"] == [6.0]
    engine.close()


def test_reference_variables_that_a_signature_changes(tmp_path):
    """The TF1 form, like TensorFlow Serving's own counter model, and an input that no output needs."""
    folder = tmp_path / "tf1"
    with tf.Graph().as_default(), tf1.Session() as session:
        counter = tf1.get_variable("counter", initializer=0.0, use_resource=False)
        weight = tf1.get_variable("weight", initializer=2.0, use_resource=False)
        by, x, unused = (tf1.placeholder(tf.float32, [], name) for name in ("by", "x", "unused"))
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(folder))
        signatures = {
            "incr_counter": signature({"by": by}, {"count": tf1.assign_add(counter, by)}),
            "get_counter": signature({}, {"count": tf.identity(counter)}),
            "weigh": signature({"x": x, "unused": unused}, {"y": x * weight}),
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    engine = Engine(folder)
    assert engine.frozen == {"weigh"}
    for _ in range(2):
        engine.run("incr_counter", {"by": np.float32(1)})
    assert engine.run("get_counter", {})["count"] == 2
    assert engine.run("weigh", {"x": np.float32(4), "unused": np.float32(0)})["y"] == 8
    engine.close()


def signature(inputs, outputs):
    infos = [
        {name: tf1.saved_model.build_tensor_info(tensor) for name, tensor in side.items()} for side in (inputs, outputs)
    ]
    return tf1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")


def test_large_variables_stay_variables_and_small_ones_become_constants(tmp_path):
    engine = Engine(save_deep(tmp_path / "deep", layers=2, width=128))
    assert engine.frozen == {"serving_default"}
    frozen = [op for op in engine._session.graph.get_operations() if op.name.startswith("frozen/")]
    constants = [op.outputs[0].shape.as_list() for op in frozen if op.type == "Const"]
    assert [128] in constants, "the biases"
    assert [128, 128] not in constants, "the kernels"
    plain = Engine(tmp_path / "deep", freeze=False)
    x = {"x": np.ones([3, 128], np.float32)}
    np.testing.assert_allclose(engine.run("serving_default", x)["y"], plain.run("serving_default", x)["y"], rtol=1e-6)
    engine.close()
    plain.close()


def save_deep(folder, layers, width):
    """Dense layers: kernels of width x width, which are kept, and biases of width, which are frozen."""
    module = tf.Module()
    module.kernels = [tf.Variable(tf.random.stateless_normal([width, width], [n, 0]) / width) for n in range(layers)]
    module.biases = [tf.Variable(tf.ones([width])) for _ in range(layers)]

    @tf.function(input_signature=[tf.TensorSpec([None, width], tf.float32, name="x")])
    def call(x):
        for kernel, bias in zip(module.kernels, module.biases, strict=True):
            x = tf.nn.relu(x @ kernel + bias)
        return {"y": x}

    module.call = call
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


@pytest.mark.slow
def test_a_loaded_model_is_in_memory_once(models, tmp_path):
    """Resident memory that loading and running adds, at its end and at its peak, in multiples of the model's size."""
    layers, width = 9, 2048
    folder, size = save_deep(tmp_path / "deep", layers, width), layers * width * width * 4
    added = {}
    for freeze in (True, False):
        command = [sys.executable, "-c", MEASURE, str(models["half_plus_two"]), str(folder), str(int(freeze))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        added[freeze] = [float(figure) / size for figure in done.stdout.split()]
    for frozen, plain in zip(added[True], added[False], strict=True):
        assert 0.9 < plain < 1.5, "the baseline: a session that holds the variables"
        assert frozen < plain + 0.5, added


MEASURE = """
import pathlib, sys
import numpy as np
from graft.serving.engine import Engine

def resident():
    fields = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")]

def load(folder, x):
    engine = Engine(folder, freeze=bool(int(sys.argv[3])))
    assert bool(engine.frozen) == bool(int(sys.argv[3]))
    engine.run("serving_default", {"x": x})
    return engine

first = load(sys.argv[1], np.ones([1], np.float32))
before, _ = resident()
second = load(sys.argv[2], np.ones([2, 2048], np.float32))
print(*(figure - before for figure in resident()))
"""


def test_what_names_no_tensor_is_refused(models):
    engine = Engine(models["zoo"])
    assert "__saved_model_init_op" in engine.signatures
    error = refused(engine, "__saved_model_init_op", {})
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT and "is no tensor of the model's graph" in error.message
    engine.close()


def test_defaults_fill_in_for_missing_inputs(graft_data):
    engine = Engine(graft_data / "serving_fixtures" / "saved_model_half_plus_two_tf2_cpu" / "00000123")
    assert engine.run("serving_default", {})["y"] == [2.0]
    assert "Inputs contains invalid name" in refused(engine, "serving_default", {"z": np.float32([1])}).message
    engine.close()


@pytest.mark.parametrize("name", ["cpu", "gpu", "gpu_trt", "mkl", "mlmd", "tf2_cpu"])
def test_upstream_models(graft_data, name):
    engine = Engine(graft_data / "serving_fixtures" / f"saved_model_half_plus_two_{name}" / "00000123")
    assert engine.run("serving_default", {"x": np.float32([2.0])})["y"] == [3.0]
    engine.close()


@pytest.mark.slow
def test_swaps_leave_no_threads_or_files_behind(models):
    process = psutil.Process()

    def swap():
        engine = Engine(models["half_plus_two"])
        engine.run("serving_default", {"x": np.float32([1])})
        engine.close()

    swap()
    threads, files = process.num_threads(), process.num_fds()
    for _ in range(20):
        swap()
    assert process.num_threads() <= threads + 1 and process.num_fds() <= files


def test_load_faults_have_their_codes(models, tmp_path):
    def load_error(folder, **options) -> ServingError:
        with pytest.raises(ServingError) as caught:
            Engine(folder, **options)
        return caught.value

    error = load_error(tmp_path)
    assert error.code is grpc.StatusCode.NOT_FOUND and "Could not find SavedModel .pb or .pbtxt" in error.message
    error = load_error(models["half_plus_two"], tags=("gpu",))
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert "Could not find meta graph def matching supplied tags" in error.message

    def damaged(name: str, change) -> ServingError:
        folder = shutil.copytree(models["half_plus_two"], tmp_path / name)
        path = folder / ("saved_model.pb" if name == "graph" else "variables/variables.data-00000-of-00001")
        path.write_bytes(change(path.read_bytes()))
        return load_error(folder)

    assert damaged("graph", lambda content: content[:100]).code is grpc.StatusCode.DATA_LOSS
    assert damaged("short", lambda content: content[:2]).code is grpc.StatusCode.OUT_OF_RANGE
    error = damaged("flipped", lambda content: bytes([content[0] ^ 1]) + content[1:])
    assert error.code is grpc.StatusCode.DATA_LOSS and "Checksum does not match" in error.message
