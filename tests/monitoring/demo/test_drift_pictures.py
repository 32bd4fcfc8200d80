"""The pictures and the days of the story."""

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.monitoring.demo import pictures
from graft.monitoring.demo.course import POOL, Course
from graft.pipeline.demo import data


def test_no_digit_is_in_two_places_and_days_change_with_the_shift():
    course = Course(usual=2, drift=2, after=1, rows=380)
    dealt = pictures.deal(course)
    assert [len(part.labels) for part in dealt.base.values()] == [300, 100, 200] and len(dealt.days) == 5
    back = [np.rot90(day.pixels, -1, axes=(1, 2)) * 2 if n > 2 else day.pixels for n, day in enumerate(dealt.days, 1)]
    seen = [image.tobytes() for part in dealt.base.values() for image in part.pixels]
    seen += [np.ascontiguousarray(image).tobytes() for day in back for image in day]
    digits = {image.tobytes() for image in data.all_mnist()[0]}
    assert len(set(seen)) == len(seen) == POOL + 600 and set(seen) <= digits
    assert all(day.pixels.max() > 0.9 for day in dealt.days[:2])
    assert all(day.pixels.max() <= 0.5 for day in dealt.days[2:])


def test_the_seed_decides_the_digits():
    first, again, other = (pictures.deal(Course(seed=seed)).days[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_a_changed_picture_is_turned_and_dark():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 0, 5] = 1
    (found,) = pictures.changed(image)
    assert found[22, 0] == 0.5 and found.sum() == 0.5


def test_a_picture_comes_out_of_its_file_as_it_went_in():
    import io

    from PIL import Image

    pixels = np.random.default_rng(0).random((28, 28)).astype("f4")
    shown = np.asarray(Image.open(io.BytesIO(pictures.png(pixels))))
    np.testing.assert_allclose(shown / 255, pixels, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"usual": 0}, "--days: USUAL is 0; it must be at least 1"),
        ({"drift": 1}, "--days: DRIFT is 1; it must be at least 2"),
        ({"after": 0}, "--days: AFTER is 0; it must be at least 1"),
        ({"rows": 49}, "--rows: received 49; allowed for 9 days: 50 to 211 pictures a day"),
        ({"rows": 212}, "--rows: received 212; allowed for 9 days: 50 to 211"),
        ({"seed": -1}, "--seed: received -1; it must be 0 or more"),
    ],
)
def test_a_course_out_of_range_is_refused(given, words):
    with pytest.raises(GraftError, match=words):
        Course(**given)
    assert Course(1, 2, 1, 475).learned == 475 and Course().days == 9
