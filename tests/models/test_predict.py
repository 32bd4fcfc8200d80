"""Bulk predictions of an export: the names of its classes."""

import tensorflow as tf

from graft.models.predict import SavedModelPredictor


class Served(tf.Module):
    """As little as there must be of a `serving_default`."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve(self, image_bytes):
        return {"probabilities": tf.one_hot(tf.strings.length(image_bytes), 3)}


def test_only_a_newline_ends_the_name_of_a_class(tmp_path):
    model = Served()
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.serve})
    names = ["cat", "caf\u00e9\u2028au\x85lait", " dog\x0b "]
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "labels.txt").write_bytes("".join(f"{name}\n" for name in names).encode())
    with SavedModelPredictor(tmp_path) as predictor:
        assert predictor.target.names == tuple(names)
        assert predictor.predict([b"", b"12"]).tolist() == [[1, 0, 0], [0, 0, 1]]
