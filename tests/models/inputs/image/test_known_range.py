import keras
import pytest

from graft.models.errors import GraftError
from graft.models.inputs.image import Input, Options
from graft.models.inputs.image.known_range import known_range


def saved(path, *layers):
    keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Conv2D(2, 1)]).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        ("applications:MobileNetV2?weights=none", ((-1.0, 1.0), "table")),
        ("DenseNet121", ((0.0, 1.0), "table")),
        ("https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5", ((0.0, 1.0), "metadata")),
        ("https://www.kaggle.com/models/google/mobilenet-v2/tensorFlow2/a/1", ((0.0, 1.0), "metadata")),
    ],
)
def test_known(handle, expected):
    found = known_range(handle)
    assert (found.value_range, found.how) == expected


@pytest.mark.parametrize("handle", ["https://tfhub.dev/sayakpaul/vit_s16_fe/1", "https://example.org/google/m/1", "x"])
def test_unknown(handle):
    assert known_range(handle) is None


def test_first_layer_of_a_keras_file_tells(tmp_path):
    assert known_range(saved(tmp_path / "a.keras", keras.layers.Rescaling(1 / 127.5, -1))).value_range == (0.0, 255.0)
    assert known_range(saved(tmp_path / "b.keras", keras.layers.Rescaling(0.5, 0.5))) is None
    assert known_range(saved(tmp_path / "c.keras")) is None
    (tmp_path / "d.keras").write_bytes(b"none")
    assert known_range(str(tmp_path / "d.keras")) is None


def test_range_that_nobody_chose_is_no_range():
    assert Input(Options()).unsettled
    with pytest.raises(GraftError, match=r"value_range is auto"):
        _ = Input(Options()).value_range
    assert not Input(Options(value_range=(0, 1))).unsettled
