"""The engine: the answers, words and codes of TensorFlow Serving's kernels, plain and frozen."""

import concurrent.futures
import shutil
import time

import grpc
import numpy as np
import psutil
import pytest

from serving.engine import Engine
from serving.status import ServingError


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


def test_runs_any_batch_size_including_zero(half_plus_two):
    for size in (0, 1, 7):
        x = np.arange(size, dtype=np.float32)
        np.testing.assert_array_equal(half_plus_two.run("serving_default", {"x": x})["y"], 0.5 * x + 2)


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
    assert frozen.frozen == {"serving_default", "features"} and not plain.frozen
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
