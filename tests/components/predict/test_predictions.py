"""Answers are kept as they are, for Graft and for TFMA, and a target that the model cannot answer is refused."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from graft.components.predict import executor
from graft.components.predict.predictions import Predictions, load, vectors
from graft.models import examples
from graft.models.errors import GraftError
from graft.models.inputs import image
from graft.models.signals.reference import FILE, Reference
from graft.models.targets import make_target, parse_options

LABEL = make_target(parse_options({}), ["café noir", "<b>", "x"])
KEPT = Predictions(
    target=LABEL,
    encoded=np.array([2, 0]),
    answers=np.float32([[0.2, 0.1, 0.7], [0.1, 0.6, 0.3]]),
    sha256=[b"a" * 64, b"b" * 64],
    slices={"camera": ["left", ""], "a/b": ["ä", "1"]},
    examples_per_second=3.5,
)
LABELS = Predictions(
    make_target(parse_options({"kind": "labels"}), ["a", "b"], {"thresholds": [0.25, 0.75]}),
    np.float32([[1, 0], [0, 0]]),
    np.float32([[0.5, 0.25], [np.nan, 0.5]]),
    KEPT.sha256,
    {},
    1.0,
)
NUMBERS = Predictions(
    make_target(parse_options({"kind": "numbers", "columns": ["m"]}), ["m"], {"mean": [3.0], "std": [2.0]}),
    np.float32([[1.5], [2]]),
    np.float32([[1.25], [3]]),
    KEPT.sha256,
    {},
    1.0,
)


@pytest.mark.parametrize("kept", [KEPT, LABELS, NUMBERS], ids=lambda kept: kept.target.kind)
def test_arrays_come_back(kept, tmp_path):
    kept.save(str(tmp_path))
    back = load(str(tmp_path))
    np.testing.assert_array_equal(back.answers, kept.answers)
    np.testing.assert_array_equal(back.encoded, kept.encoded)
    assert (back.answers.dtype, back.encoded.dtype) == (kept.answers.dtype, kept.encoded.dtype)
    assert back.target.description() == kept.target.description()
    for name in ("sha256", "slices", "examples_per_second"):
        assert getattr(back, name) == getattr(kept, name)


def written(kept: Predictions, folder) -> list:
    """The features of each example for TFMA."""
    kept.save(str(folder))
    [file] = (folder / "Split-test").iterdir()
    records = tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator()
    return [tf.train.Example.FromString(record).features.feature for record in records]


def test_examples_hold_what_tfma_reads(tmp_path):
    first, _ = written(KEPT, tmp_path)
    assert [first[name].bytes_list.value[0] for name in ("label", "prediction")] == [b"x", b"x"]
    np.testing.assert_array_equal(np.float32(first["probabilities"].float_list.value), KEPT.answers[0])
    assert [first[name].bytes_list.value[0] for name in ("camera", "a/b")] == [b"left", "ä".encode()]


@pytest.mark.parametrize(
    ("kept", "second"), [(LABELS, ([0, 0], [0, 0.5])), (NUMBERS, ([2], [3]))], ids=["labels", "numbers"]
)
def test_tfma_gets_numbers_of_several(kept, second, tmp_path):
    _, last = written(kept, tmp_path)
    assert tuple(list(last[name].float_list.value) for name in ("label", "prediction")) == second


class Predictor:
    """Finds the first of two classes in everything."""

    target = make_target(parse_options({}), ["cat", "dog"])
    input = image.Input(image.Options(value_range=(0, 1)))
    examples_per_second = 2.0

    def __init__(self, path, embeds=False):
        self.path, self.embeds = path, embeds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def predict(self, contents, progress=lambda done: None, embedded=None):
        rows = [[0.75, 0.25] for _ in contents]
        progress(len(rows))
        if self.embeds:
            embedded(np.arange(3.0 * len(rows)).reshape(-1, 3))
        return np.float32(rows)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run((label, domain, camera) of each test example) -> the predictions; the model is `Predictor`."""
    monkeypatch.setattr("graft.models.predict.SavedModelPredictor", Predictor)

    def predict(*rows: tuple[str, str | None, str], contents=(b"x",)) -> Predictions:
        places = {name: tmp_path / name for name in ("examples", "model", "predictions")}
        for split in ("test", "eval"):
            (places["examples"] / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(places["examples"] / "Split-eval" / "shard")) as writer:
            for number in range(executor.PROBES + 3):
                writer.write(examples.build(b"e", ("cat",), "file", bytes([100 + number]) * 32, {}))
        with tf.io.TFRecordWriter(str(places["examples"] / "Split-test" / "shard")) as writer:
            for number, (label, domain, camera) in enumerate(rows):
                told = {"camera": camera}
                facts = {"width": 5 + number, "height": 7, "format": "PNG"}
                content, digest = contents[number % len(contents)], bytes([number]) * 32
                writer.write(examples.build(content, (label,), "file", digest, facts, told, domain=domain))
        extra = places["model"] / "Format-Serving" / "assets.extra"
        extra.mkdir(parents=True)
        extra.joinpath("graft.json").write_text(json.dumps({"input": Predictor.input.prepared_by}))
        held = {"examples": standard_artifacts.Examples(), "model": standard_artifacts.Model()}
        output = standard_artifacts.Examples()
        for name, artifact in (*held.items(), ("predictions", output)):
            artifact.uri = str(places[name])
        inputs = {name: [artifact] for name, artifact in held.items()}
        given = executor.Parameters(input=image.Options(max_pixels=123), slices=["camera"])
        executor.Executor().Do(inputs, {"predictions": [output]}, given.dump())
        assert artifact_utils.decode_split_names(output.split_names) == ["test"]
        return load(output.uri)

    return predict


def test_each_example_of_the_test_split_is_answered(run):
    found = run(("dog", None, "left"), ("cat", None, "right"))
    assert found.encoded.tolist() == [1, 0] and found.answers.tolist() == [[0.75, 0.25]] * 2
    assert found.sha256 == [b"00" * 32, b"01" * 32] and found.slices == {"camera": ["left", "right"]}


def test_vectors_are_kept_beside_and_those_of_a_few_of_eval(run, tmp_path):
    run(("dog", None, "left"), ("cat", None, "right"))
    kept, probes = vectors(str(tmp_path / "predictions"))
    assert kept.tolist() == [[0, 1, 2], [3, 4, 5]] and len(probes) == executor.PROBES
    assert probes[b"64" * 32].tolist() == [0, 1, 2]


def test_a_model_without_vectors_leaves_none(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "__init__", lambda self, path, embeds=False: setattr(self, "embeds", False))
    run(("dog", None, "left"))
    assert vectors(str(tmp_path / "predictions")) is None


def test_only_the_target_domain_is_judged(run):
    found = run(("dog", "source", "a"), ("cat", "target", "b"), ("dog", "source", "c"))
    assert found.encoded.tolist() == [0] and found.slices == {"camera": ["b"]} and found.sha256 == [b"01" * 32]


def test_a_label_that_is_no_class_of_the_model_is_refused(run):
    with pytest.raises(GraftError, match="test split: label 'glass' is not one of the classes cat, dog"):
        run(("cat", None, ""), ("glass", None, ""))


PIXELS = tf.io.encode_png(np.full((9, 11, 3), 50, np.uint8)).numpy()


def test_the_same_pass_makes_the_reference(run, tmp_path):
    run(("dog", None, ""), ("cat", None, ""), ("cat", None, ""), contents=(PIXELS, b"x"))
    held = Reference.load(tmp_path / "predictions" / FILE)
    assert (held.rows, held.input["max_pixels"], held.made_by["split"]) == (3, 123, "test")
    assert held.signals.keys() == {*Predictor.input.SIGNALS, *Predictor.target.watched}
    assert held.signals["readable"].values == ("yes", "no") and held.counts["readable"] == (2, 1, 0, 0)
    assert held.counts["brightness"] == held.signals["brightness"].counts([50, 50, None])
    assert held.counts["predicted"] == (3, 0, 0, 0) and held.group["predicted"] == "prediction"
    assert (held.quality["mean"], held.quality["rows"]) == (pytest.approx(2 / 3), 3)
    assert held.facts["width"] == {"type": "number", "least": 5, "most": 7}
    assert held.facts["format"] == {"type": "text", "values": ["PNG"]}
    assert held.watcher()(PIXELS)["brightness"] == 50
    assert held.restored_target().description() == Predictor.target.description()


def test_the_reference_does_not_grow_with_the_data(run, tmp_path, monkeypatch):
    monkeypatch.setattr("graft.models.signals.collect.ROWS", 2)
    found = run(("dog", None, ""), ("cat", None, ""), ("dog", None, ""))
    held = Reference.load(tmp_path / "predictions" / FILE)
    assert len(found.answers) == 3 and held.rows == held.quality["rows"] == 2 and held.quality["mean"] == 0.5
    assert held.facts["width"]["most"] == 6, "the first ones"
    assert held.vectors.values.tolist() == [[0, 1, 2], [3, 4, 5]]
