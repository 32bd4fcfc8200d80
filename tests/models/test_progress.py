"""The sink receives what is reported, and nothing happens without one."""

from graft.models import progress


def test_sink_receives_stage_counts_and_figures():
    seen = []
    previous = progress.set_sink(lambda *received: seen.append(received))
    try:
        progress.report("train", 2, 5, "epochs", loss=0.5)
    finally:
        assert progress.set_sink(previous) is not None
    assert seen == [("train", 2, 5, "epochs", {"loss": 0.5})]


def test_no_sink_is_fine():
    previous = progress.set_sink(None)
    progress.report("train", 1, None, "images")
    progress.set_sink(previous)
