"""An export as an ONNX file: parity on real examples, what the file says of itself, and what is refused."""

import json

import numpy as np
import onnx
import pytest
import tensorflow as tf

from graft.models import onnx_export
from graft.models.errors import GraftError
from graft.models.inputs import exported_input
from graft.models.inputs.preparing import preparer


@pytest.fixture(scope="module")
def written(taught, training_input, tmp_path_factory):
    """The file, and what was told of it."""
    path = tmp_path_factory.mktemp("onnx") / "colours.onnx"
    facts = {"backbone": {"handle": "colours/1", "identity": "0a1b"}, "model": "colours"}
    return path, onnx_export.export_onnx(taught, path, training_input.images["test"], facts)


@pytest.mark.slow
def test_it_answers_as_the_export_does(written, taught, training_input):
    import onnxruntime

    path, told = written
    assert told["difference"] <= 1e-5 and told["examples"] == 18 and told["bytes"] == path.stat().st_size
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    assert (given.name, given.shape, given.type) == ("pixels", ["n", 16, 16, 3], "tensor(float)")
    assert [output.name for output in session.get_outputs()] == told["outputs"] == ["probabilities", "scores"]
    images = tf.constant(training_input.images["eval"])
    input = exported_input(taught)
    values = input.values.from_prepared(preparer(input)(images)).numpy()
    wanted = tf.saved_model.load(str(taught)).signatures["serving_default"](image_bytes=images)
    for name, found in zip(told["outputs"], session.run(None, {"pixels": values}), strict=True):
        np.testing.assert_allclose(found, wanted[name], atol=1e-4)
    assert session.run(None, {"pixels": values[:0]})[0].shape == (0, 3)


@pytest.mark.slow
def test_the_file_says_what_it_takes_and_answers(written):
    model = onnx.load(str(written[0]))
    onnx.checker.check_model(model)
    props = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert props["graft.classes"] == ["blue", "green", "red"]
    assert props["graft.input"]["image_size"] == [16, 16] and "values from 0 to 1" in props["graft.input"]["values"]
    assert props["graft.backbone"]["identity"] == "0a1b" and "options" in props["graft.target"]
    assert set(props["graft.versions"]) == {"graft", "tensorflow", "tf2onnx"} and model.producer_name == "graft"


@pytest.mark.slow
def test_answers_that_differ_are_not_written(taught, training_input, tmp_path, monkeypatch):
    path = tmp_path / "colours.onnx"
    path.write_bytes(b"before")
    converted = onnx_export._converted

    def disturbed(*args):
        model = converted(*args)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims:
                values = onnx.numpy_helper.to_array(tensor)
                noise = np.random.default_rng(0).normal(0, 0.5, values.shape).astype(np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values + noise, tensor.name))
        return model

    monkeypatch.setattr(onnx_export, "_converted", disturbed)
    with pytest.raises(
        GraftError, match=r"colours\.onnx: not written: the probabilities of ONNX differ .* by [0-9.]+ on 6"
    ):
        onnx_export.export_onnx(taught, path, training_input.images["test"][:6], {})
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_an_operation_that_onnx_does_not_have_is_named(taught, training_input, tmp_path, monkeypatch):
    load = tf.saved_model.load

    def odd(path):
        loaded = load(path)
        network = loaded.network

        def with_svd(prepared):
            features, outputs = network(prepared)
            return features, outputs + tf.linalg.svd(prepared[:, :, :, 0])[0][:, :3]

        loaded.network = with_svd
        return loaded

    monkeypatch.setattr(tf.saved_model, "load", odd)
    with pytest.raises(GraftError, match="cannot be converted to ONNX: opset 17 has no Svd; take another backbone"):
        onnx_export.export_onnx(taught, tmp_path / "a.onnx", training_input.images["test"][:2], {})
    assert not list(tmp_path.iterdir())


def test_texts_are_refused(tmp_path, monkeypatch):
    from small_inputs import texts

    monkeypatch.setattr(onnx_export, "exported_input", lambda _: texts())
    monkeypatch.setattr(onnx_export, "exported_target", lambda _: None)
    with pytest.raises(GraftError, match="takes texts, whose way to the network is made of operations on strings"):
        onnx_export.export_onnx(tmp_path, tmp_path / "a.onnx", [b"one"], {})


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        GraftError,
        match=r"tf2onnx and onnxruntime: not installed; install the extra .pip install 'graft-transfer\[onnx\]'",
    ):
        onnx_export.export_onnx(tmp_path, tmp_path / "a.onnx", [b"one"], {})
