"""The plot of the story: what is in it, and that it is drawn; and the page around it."""

import io

import numpy as np
import pytest
from drift_story import alarm, story
from PIL import Image

from graft.monitoring.demo import page, plot


def test_days_alarms_and_the_push_are_where_they_belong():
    value = story()
    value["days"][3]["alarms"].append(alarm(3, "labels", "quality", "score"))
    value["days"][0]["alarms"] = [alarm(1, group="service", signal="latency")]
    found = plot.drawn(value)
    assert {version: [one[0] for one in days] for version, days in found.days.items()} == {1: [1, 2, 3, 4], 2: [5, 6]}
    assert (found.alarms, found.late, found.changed) == ([3, 4], [4], (3, 6))
    assert found.runs == [(4, "retraining;\npush of version 2", True)]
    _, mean, below, above = found.days[1][0]
    quality = value["days"][0]["quality"]
    assert (mean - below, mean + above) == (pytest.approx(quality["low"]), pytest.approx(quality["high"]))


def test_a_gate_that_closed_is_drawn_as_such():
    value = story()
    value["days"][3]["retraining"]["model_version"] = None
    assert plot.drawn(value).runs == [(4, "retraining;\nno push", False)]


def test_the_picture_is_a_png_with_ink_the_same_every_time_and_another_story_is_another(tmp_path):
    value = story()
    plot.write(value, tmp_path / "a.png")
    plot.write(story(), tmp_path / "b.png")
    value["days"][2]["alarms"] = []
    plot.write(value, tmp_path / "c.png")
    first, again, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == again != other
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("L"))
    assert pixels.shape[1] > 1000 and (pixels < 128).mean() > 0.005


def test_a_story_of_one_usual_day_can_be_drawn(tmp_path):
    value = story()
    value["days"] = value["days"][:1]
    value["days"][0] |= {"version": None, "estimate": None}
    plot.write(value, tmp_path / "a.png")
    assert plot.drawn(value).changed is None and (tmp_path / "a.png").stat().st_size > 1000


def test_the_page_needs_no_other_host_and_escapes_what_comes_from_outside():
    value = story()
    value["days"][3]["retraining"] |= {"model_version": None, "reason": "<b>closed</b>"}
    value["reasons"] = ["<i>not</i> well"]
    shown = page.render(value, b"\x89PNG")
    assert "&lt;b&gt;closed" in shown and "<b>closed" not in shown and "&lt;i&gt;not" in shown
    assert "data:image/png;base64,iVBORw==" in shown and "http" not in shown.replace("http-equiv", "")
    assert shown.count('class="changed"') == 4
