"""The section `monitoring.retrain`."""

import pydantic
import pytest

from graft.monitoring.retrain.options import RetrainOptions


def test_defaults_ask_for_drift_or_labels():
    options = RetrainOptions()
    assert options.on_drift and options.new_labels == 500 and options.base and options.cooldown_hours == 24


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"new_labels": None, "on_drift": False}, "nothing would ever start"),
        ({"new_labels": 10}, "new_labels is 10; it must be at least least_labels, 50"),
        ({"most_labels": 49}, "most_labels is 49"),
        ({"drift_windows": 0}, "greater than or equal to 1"),
        ({"cooldown": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_could_never_start_is_refused(given, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        RetrainOptions(**given)
    assert RetrainOptions(new_labels=None, most_labels=50, cooldown_hours=0).new_labels is None
