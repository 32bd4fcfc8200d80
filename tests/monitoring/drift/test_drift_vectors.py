"""Feature vectors of logged inputs by the version that answered; what is in their way is said."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from drift_samples import MODEL, NOON, examples, look, options, reference, traffic, write_log

from graft.models.signals.reference import PLACE
from graft.models.signals.vectors import Vectors
from graft.monitoring.drift import results
from graft.monitoring.drift.options import DriftOptions
from graft.serving.store import open_store

WIDTH = 70


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An export whose feature vectors are random waves of a text's length, and the vectors of a reference's texts."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("export")
    module = tf.Module()
    module.waves = tf.Variable(np.random.default_rng(0).normal(size=(1, WIDTH)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def features(text):
        length = tf.cast(tf.strings.length(text), tf.float32)[:, None]
        return {"feature_vector": tf.sin(length / 40.0 * module.waves)}

    tf.saved_model.save(module, str(folder), signatures={"features": features, "serving_default": features})
    contents, _, _ = examples(300, np.random.default_rng(0))
    return folder, features(tf.constant(contents))["feature_vector"].numpy()


@pytest.fixture
def root(tmp_path, model):
    push(tmp_path, model)
    (tmp_path / "log").mkdir()
    return tmp_path


def push(root, model, vectors: np.ndarray | None = None, name: str = "export") -> None:
    """One more version."""
    export = root / name
    shutil.copytree(model[0], export)
    kept = Vectors.of(model[1] if vectors is None else vectors)
    (export / PLACE).parent.mkdir(exist_ok=True)
    dataclasses.replace(reference(), vectors=kept if kept.rows else None).save(export / PLACE)
    open_store(root / "store").push(MODEL, export, {})


def put(root, *requests) -> list:
    return write_log(root / "log", requests)


ASKED = {"vectors": {"sample": 200}, "least_effect": 0.5}
"""Only the feature vectors can be an alarm on the inputs' side."""


def test_a_shift_is_an_alarm_and_none_is_not(root):
    put(root, *traffic(400, 1, NOON - 9000))
    [calm] = look(root, options(**ASKED)).windows
    assert (calm.vectors.rows, calm.vectors.reference_rows, calm.vectors.unwatched) == (200, 300, "")
    assert not calm.drifted and calm.vectors.p_value > 1e-3 and calm.vectors.auc.rows == 250
    put(root, *traffic(400, 2, NOON - 8000, shift=1.0))
    [moved] = look(root, options(**ASKED)).windows
    [alarm] = [test for test in moved.alarms if test.group == "input"]
    assert (alarm.signal, alarm.rows, alarm.against) == ("feature_vector", 200, "reference")
    assert alarm.effect == pytest.approx(2 * moved.vectors.auc.mean - 1) and alarm.p_value == moved.vectors.p_value
    assert moved.drifted and moved.in_row["input"] == 1 and list(results.read(root / "drift"))[1] == moved


def test_a_small_auc_is_no_alarm(root):
    put(root, *traffic(400, 2, NOON - 8000, shift=1.0))
    asked = options(vectors={"sample": 200, "least_auc": 0.99}, least_effect=0.5)
    [window] = look(root, asked).windows
    assert window.vectors.p_value < 1e-6 and "feature_vector" not in {test.signal for test in window.alarms}


def test_who_does_not_ask_for_it_loads_no_model(root):
    put(root, *traffic(400, 1, NOON - 9000))
    [window] = look(root, options(vectors={"watch": False})).windows
    assert window.vectors is None and "feature_vector" not in {test.signal for test in window.tests}
    assert DriftOptions().vectors.watch


def unwatched(root, rows: int = 0) -> str:
    [window] = look(root, options(**ASKED)).windows
    assert window.vectors.rows == rows and window.vectors.auc is None
    assert "feature_vector" not in {test.signal for test in window.tests}
    return window.vectors.unwatched


@pytest.mark.parametrize(
    ("kept", "said"),
    [(0, "the reference of version 2 has none: an older Graft pushed it"), (19, "of version 2 has 19; it takes 20")],
)
def test_a_reference_without_enough_vectors_is_told(root, model, kept, said):
    push(root, model, model[1][:kept], "other")
    put(root, *traffic(400, 1, NOON - 9000, version=2))
    assert said in unwatched(root)


def test_inputs_that_are_not_in_the_log_are_told(root):
    put(root, *traffic(400, 1, NOON - 9000, inputs={}))
    assert unwatched(root) == (
        "the log has no inputs of answered requests (left out, hashed or dropped), or an older Graft counted them"
    )


def test_what_retention_took_meanwhile_is_told(root):
    [path] = put(root, *traffic(390, 1, NOON - 9000))
    look(root, options(**ASKED))
    path.unlink()
    put(root, *traffic(15, 2, NOON - 8000))
    [window] = look(root, options(**ASKED)).windows
    assert 0 <= window.vectors.rows < 15 and "answered examples are in the log; it takes 20" in window.vectors.unwatched


def test_a_version_that_left_the_store_is_told(root):
    put(root, *traffic(300, 1, NOON - 9000))
    look(root, options(**ASKED))
    shutil.rmtree(root / "store" / MODEL)
    put(root, *traffic(100, 2, NOON - 8000))
    assert "has no version 1; there are: none" in unwatched(root)


def test_a_model_that_cannot_be_run_is_told(root):
    put(root, *traffic(400, 1, NOON - 9000))
    [graph] = (root / "store" / MODEL / "1").glob("saved_model.pb")
    graph.write_bytes(b"no model")
    assert "saved_model.pb" in unwatched(root)


def push_other(root, model, compute, name: str = "features") -> None:
    """Version 2, whose signature of that name computes something else, of a text; requests to it are logged."""
    import tensorflow as tf

    module = tf.Module()
    module.f = tf.function(compute, input_signature=[tf.TensorSpec([None], tf.string, name="text")], autograph=False)
    shutil.copytree(model[0], root / "foreign")
    tf.saved_model.save(module, str(root / "foreign"), signatures={name: module.f})
    push(root, (root / "foreign", model[1]), name="other")
    put(root, *traffic(400, 1, NOON - 9000, version=2))


def test_a_model_that_writes_files_is_not_run(root, model):
    import tensorflow as tf

    def features(text):
        with tf.control_dependencies([tf.io.write_file(str(root / "written"), "x")]):
            return {"feature_vector": tf.ones([tf.size(text), WIDTH])}

    push_other(root, model, features)
    assert "does more than compute: " in unwatched(root) and not (root / "written").exists()


@pytest.mark.parametrize(
    ("signature", "output", "said"),
    [
        ("serving_default", "feature_vector", "has no signature `features`: an older Graft or another program"),
        ("features", "other", "its signature `features` does not make `feature_vector` of one input"),
    ],
)
def test_a_model_of_another_program_is_told(root, model, signature, output, said):
    import tensorflow as tf

    push_other(root, model, lambda text: {output: tf.ones([tf.size(text), WIDTH])}, signature)
    assert said in unwatched(root)


def test_a_model_that_fails_on_what_was_answered_is_told(root, model):
    import tensorflow as tf

    push_other(root, model, lambda text: {"feature_vector": tf.strings.to_number(text)[:, None]})
    assert "the model fails on what was logged as answered: " in unwatched(root)


def test_the_command_says_what_it_found(root, capsys):
    from graft.pipeline import cli

    put(root, *traffic(400, 1, NOON - 9000))
    config = root / "c.yaml"
    config.write_text(
        f"name: {MODEL}\ndata: {{source: image_folder, path: d}}\nbackbone: {{handle: b}}\nstore: {root / 'store'}\n"
        f"root: {root / 'runs'}\nmonitoring:\n  request_log: {{folder: {root / 'log'}}}\n"
        "  drift: {window: {rows: 400, least: 100}}\n"
    )
    assert cli.main(["monitor", str(config), "--json"]) == 0
    [window] = json.loads(capsys.readouterr().out)["windows"]
    assert 0.3 < window["vectors"]["auc"]["mean"] < 0.6
    put(root, *traffic(400, 2, NOON - 8000, inputs={}))
    cli.main(["monitor", str(config)])
    assert "feature vectors are not watched (version 1): the log has no inputs" in capsys.readouterr().out
