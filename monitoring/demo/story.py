"""The course of `graft demo drift`: usual days, a shift, alarms, a retraining, a push, and days after it."""

import pathlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graft.models.durable import write_atomic
from graft.monitoring.demo import pictures, verdict
from graft.monitoring.demo.course import Course
from graft.monitoring.drift.monitor import Pass
from graft.monitoring.drift.results import Mean, Window
from graft.monitoring.drift.statistics import share_interval
from graft.pipeline.demo import data
from graft.pipeline.demo.telling import tell
from graft.pipeline.ending import INTERRUPTED, Ending
from graft.pipeline.progress_view import ProgressView
from graft.pipeline.strict_json import to_json

if TYPE_CHECKING:
    from graft.monitoring.demo.site import Site
    from graft.pipeline.result import RunResult
    from graft.serving.client import Prediction

NAME = "demo drift"
RESULTS, PAGE = "drift.json", "drift.html"
MISS = 0.05
"""How often an interval of quality may miss the true one."""
_COPIES, _STEPS = 1, 300
"""Of the digits 0-4 that the backbone learns from, and its optimizer steps at the least."""

Json = dict[str, Any]


def demo(root: pathlib.Path, course: Course, as_json: bool, end: Ending) -> int:
    """Plays the story and prints what came out; progress goes to standard error.

    Args:
        root: every demo makes a folder of its own in it, with data, backbone, log, labels, runs and the model store.
        course: how long it is.
        as_json: one JSON object instead of text.
        end: of the command, see `pipeline.run.run`.

    Returns:
        0 if the shift was found, learned and pushed, and quality recovered; else 1, and what went otherwise is on
        standard error. After a signal 128 and its number.

    Raises:
        GraftError: a part of it failed: server, log, labels, monitor or a run.
    """
    return tell(NAME, root, as_json, end, lambda folder, view: _act(folder, course, view, end), verdict.describe)


def _act(folder: pathlib.Path, course: Course, view: ProgressView, end: Ending) -> Json:
    # Imported here, as below: it takes TensorFlow, and a wrong option should be told at once.
    from graft.monitoring.demo import site

    started = time.monotonic()
    dealt = pictures.deal(course)
    data.write_images(dealt.base, folder / "data")
    _publish_backbone(folder / "backbone", course, view)
    config = site.write_config(folder, course)
    first = _first(config, view, end)
    days: list[Json] = []
    if first.model_version is not None:
        with site.Site(config, view, end) as place:
            _play(place, course, dealt.days, days, view, end)
    value = {
        "folder": str(folder),
        "config": str(config),
        "seed": course.seed,
        "course": {"usual": course.usual, "drift": course.drift, "after": course.after, "rows": course.rows},
        "change": pictures.CHANGE,
        "miss": MISS,
        "first": first.to_json(),
        "days": days,
    }
    value["phases"] = verdict.phases(value)
    reasons = verdict.deviations(value)
    value = {"status": "failed" if reasons else "passed", "reasons": reasons, **value}
    if days:
        value |= _show(folder, value)
    value["seconds"] = time.monotonic() - started
    write_atomic(folder / RESULTS, to_json(value, indent=1).encode())
    return value


def _publish_backbone(folder: pathlib.Path, course: Course, view: ProgressView) -> None:
    from graft.pipeline.demo import source

    train, held_out = data.mnist_source(_COPIES, course.seed)
    view.line(f"training a backbone on {len(train.labels)} digits 0-4")
    network, accuracy = source.train_source(train, held_out, _STEPS, course.seed, build=source.build_mnist_network)
    source.publish(network, folder)
    view.line(f"backbone published; accuracy {accuracy:.4f} on {len(held_out.labels)} held-out digits 0-4")


def _first(config: pathlib.Path, view: ProgressView, end: Ending) -> "RunResult":
    from graft.pipeline import config as configs
    from graft.pipeline import run

    end.go_on()
    view.line("version 1: the pipeline on usual pictures")
    result = run.run(configs.load(str(config)), view, end=end)
    if result.status == INTERRUPTED:
        raise KeyboardInterrupt from result.failure
    end.ended()
    return result


def _play(
    site: "Site", course: Course, shown: Sequence[data.Images], days: list[Json], view: ProgressView, end: Ending
) -> None:
    """All days; each is added to `days` as it goes."""
    answers: list[Prediction] = []
    version = 1
    for day, images in enumerate(shown, 1):
        end.go_on()
        if days:
            _bring_labels(site, day - 1, answers, shown)
        answers = site.ask(images)
        found = site.look()
        right = sum(one.label == truth for one, truth in zip(answers, _names(images), strict=True))
        today = _day(day, course, right, found)
        if days:
            days[-1]["labelled"] = _quality(found)
        days.append(today)
        view.line(f"day {day}: {verdict.told(today)}")
        made, result = site.retrain()
        today["decision"] = {"start": made.start, "sentence": made.sentence, "figures": made.figures}
        if result is not None:
            today["retraining"] = _retraining(result)
            if result.model_version is not None and result.model_version != version:
                version = result.model_version
                site.wait_for(version)
                view.line(f"day {day}: the server answers by version {version}")
    _bring_labels(site, course.days, answers, shown)
    days[-1]["labelled"] = _quality(site.look())


def _bring_labels(site: "Site", day: int, answers: "Sequence[Prediction]", shown: Sequence[data.Images]) -> None:
    site.label(day, answers, _names(shown[day - 1]))


def _names(images: data.Images) -> list[str]:
    return [str(label) for label in images.labels]


def _day(day: int, course: Course, right: int, found: Pass) -> Json:
    """What is known in the evening of a day, JSON types."""
    asked = [window for window in found.windows if window.kind == "requests"]
    share = share_interval(right, course.rows, MISS)
    return {
        "day": day,
        "changed": course.is_changed(day),
        "version": asked[-1].version if asked else None,
        "rows": course.rows,
        "right": right,
        "quality": {"mean": share.mean, "low": share.low, "high": share.high},
        "estimate": _mean(asked[-1].estimate) if asked else None,
        "labelled": None,
        "alarms": [alarm for window in found.windows for alarm in _alarms(window, day)],
        "decision": None,
        "retraining": None,
    }


def _alarms(window: Window, day: int) -> list[Json]:
    """Alarms against what should be; that something is not as on the day before may also mean that it is well again.

    Args:
        window: that was judged in the evening of the day; one of labels is of the day before.
        day: from 1.
    """
    return [
        {"kind": window.kind, "version": window.version, "of": day - 1 if window.kind == "labels" else day}
        | {"signal": test.signal, "group": test.group, "effect": test.effect, "p_value": test.p_value}
        for test in window.alarms
        if test.against != "previous"
    ]


def _quality(found: Pass) -> Json | None:
    """What the monitor says of the labels of the day before."""
    judged = [window for window in found.windows if window.kind == "labels"]
    return _mean(judged[-1].quality) if judged else None


def _mean(mean: Mean | None) -> Json | None:
    return None if mean is None else {"mean": mean.mean, "low": mean.low, "high": mean.high}


def _retraining(result: "RunResult") -> Json:
    told = result.to_json()
    kept = ("run_id", "status", "reason", "model_version", "report", "gates")
    return {key: told[key] for key in kept}


def _show(folder: pathlib.Path, value: Json) -> Json:
    """Draws the story, and writes its page; where they lie."""
    from graft.monitoring.demo import page, plot

    drawn = folder / plot.NAME
    plot.write(value, drawn)
    write_atomic(folder / PAGE, page.render(value, drawn.read_bytes()).encode())
    return {"plot": str(drawn), "page": str(folder / PAGE)}
