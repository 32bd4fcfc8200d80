"""A teacher answers as its export does, is compared with its student first, and never moves."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures, texts

from graft.models import teacher
from graft.models.errors import GraftError
from graft.models.targets import make_target, parse_options
from graft.models.targets.base import Target
from graft.models.teacher import Teacher, require_pupil


def described(folder, description, input=None):
    """What a check before a run reads of an export."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    content = {"input": input or pictures((16, 16)).prepared_by, "target": description}
    (folder / "assets.extra" / "graft.json").write_text(json.dumps(content))
    return folder


LABEL = {"options": {"kind": "label"}, "names": ["cat", "dog"], "facts": {}}


@pytest.mark.parametrize(
    ("names", "input", "kind", "said"),
    [
        (["dog", "cat"], pictures((8, 8)), "label", "knows cat, dog; the student learns dog, cat. Both must have"),
        (["cat", "owl"], pictures((8, 8)), "label", "knows cat, dog; the student learns cat, owl. Both must have"),
        (["cat", "dog"], texts(), "label", "takes images, the student texts"),
        (["cat", "dog"], pictures((8, 8)), "labels", "answers target.kind 'label', the student learns 'labels'"),
    ],
)
def test_who_cannot_be_taught_is_refused(tmp_path, names, input, kind, said):
    folder = described(tmp_path / "model", LABEL)
    require_pupil(folder, pictures((8, 8)), "label", ["cat", "dog"])
    require_pupil(folder, pictures((8, 8)), "label", ["dog", "cat"], ordered=False)
    require_pupil(folder, pictures((8, 8)), "label", ())
    with pytest.raises(GraftError, match=rf"transfer\.teacher: {folder} {said}"):
        require_pupil(folder, input, kind, names)


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(GraftError, match=r"transfer\.teacher: .* is no SavedModel; allowed: the folder of a model"):
        require_pupil(tmp_path, pictures((8, 8)), "label", ())
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(GraftError, match=r"graft\.json: missing; only models exported by Graft"):
        require_pupil(tmp_path, pictures((8, 8)), "label", ())


@pytest.mark.slow
def test_it_answers_as_the_export_does_for_what_the_student_is_fed(taught, training_input):
    task = training_input.task({"method": "fine_tune"})
    one = Teacher(str(taught), task.backbone.takes, task.target)
    assert one.width == 16 and one.target.names == task.target.names
    known = one.known(task, task.eval)
    served = tf.saved_model.load(str(taught)).signatures
    contents = tf.constant(training_input.images["eval"])
    answers = task.target.answer(tf.constant(known[teacher.OUTPUTS]))["probabilities"]
    np.testing.assert_allclose(answers, served["serving_default"](contents)["probabilities"], atol=1e-5)
    np.testing.assert_allclose(known[teacher.FEATURES], served["features"](contents)["feature_vector"], atol=1e-5)


@pytest.mark.slow
def test_a_student_of_another_size_and_value_range_is_understood(taught, training_input):
    """Its pixels, brought to the teacher's form, are those that the teacher would have made, but for the resizing."""
    task = training_input.task({"method": "fine_tune"})
    contents = tf.constant(training_input.images["eval"])
    expected = Teacher(str(taught), task.backbone.takes, task.target)(task.backbone.takes.prepare(contents))[0]
    for other, close in ((pictures((16, 16), (0.0, 255.0)), 1e-4), (pictures((40, 40)), 0.2)):
        found = Teacher(str(taught), other, task.target)(other.prepare(contents))[0]
        apart = np.abs(found - expected).mean() / np.abs(expected).mean()
        assert apart < close


@pytest.mark.slow
def test_another_hash_and_an_older_export_are_refused(taught, training_input, tmp_path):
    task = training_input.task({"method": "fine_tune"})
    with pytest.raises(GraftError, match=r"transfer\.teacher: .* has sha256 [0-9a-f]{64}; .* is 0{64}"):
        Teacher(str(taught), task.backbone.takes, task.target, sha256="0" * 64)
    module = tf.Module()
    module.serve = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "old"))
    shutil.copytree(taught / "assets.extra", tmp_path / "old" / "assets.extra")
    with pytest.raises(GraftError, match=r"was exported by an older Graft; .*\. Train it again"):
        Teacher(str(tmp_path / "old"), task.backbone.takes, task.target)


def test_numbers_of_other_units_are_brought_to_the_students():
    columns = ("a", "b")
    options = parse_options({"kind": "numbers", "columns": columns})
    metres = make_target(options, columns, {"mean": [1.0, 0.0], "std": [2.0, 1.0]})
    other = make_target(options, columns, {"mean": [3.0, 0.0], "std": [4.0, 5.0]})
    values = np.float32([[1.5, 2.0], [-3.0, 0.5]])
    ours, theirs = (((values - target.mean) / target.std).astype(np.float32) for target in (metres, other))
    np.testing.assert_allclose(metres.divergence(ours, other, theirs, 1.0), 0.0, atol=1e-9)
    apart = metres.divergence(ours + 1.0, other, theirs, 1.0)
    np.testing.assert_allclose(apart, 1.0, rtol=1e-5)


def test_a_target_without_a_measure_says_so():
    with pytest.raises(GraftError, match=r"target\.kind: outputs of kind 'label' cannot be learned"):
        Target.divergence(make_target(parse_options({}), ("a", "b")), None, None, None, 1.0)
