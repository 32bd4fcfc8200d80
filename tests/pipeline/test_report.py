"""The report and the model card, from real artifacts made by hand."""

import base64
import dataclasses
import hashlib
import html.parser
import io
import json
import pathlib
import re
import time

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from metadata_writer import MetadataWriter
from PIL import Image
from small_images import image_file
from tensorflow_metadata.proto.v0 import anomalies_pb2

from graft.components.predict.predictions import Predictions, load
from graft.models.gates import Gate
from graft.models.inputs.image.preview import thumbnail
from graft.models.run_warning import RunWarning
from graft.models.targets import KINDS, make_target
from graft.pipeline import config as configs
from graft.pipeline.metadata import Artifact, Metadata
from graft.pipeline.report import build_sections, write_report
from graft.pipeline.result import NO_QUALITY_GATE, RunResult
from graft.pipeline.running import StageRun
from graft.pipeline.stages import find
from graft.pipeline.stages.base import Ran, warned

HOSTILE = "<script>alert(1)</script>"
CLASSES = ("cat", HOSTILE, "$x_{")
TEST_IMAGES = 18
SECTIONS = (
    *("gates", "data", "samples", "rejected", "anomalies", "training", "labels", "negative_transfer"),
    *("quality", "calibration", "mistakes", "comparisons", "slices", "timings", "lineage", "config"),
)


@dataclasses.dataclass
class Run:
    """What `write_report` takes."""

    config: configs.Config
    result: RunResult
    outputs: dict[str, dict[str, Artifact]]
    folder: pathlib.Path

    def write(self) -> str:
        """The page."""
        return write_report(self.config, self.result, self.outputs, self.folder).read_text(encoding="utf-8")

    def until(self, last: str) -> "Run":
        """The same run, ended after a stage."""
        names = list(self.outputs)
        self.outputs = {name: self.outputs[name] for name in names[: names.index(last) + 1]}
        return self

    def path(self, stage: str, output: str) -> pathlib.Path:
        """Folder of an artifact."""
        return pathlib.Path(self.outputs[stage][output].uri)


class Page(html.parser.HTMLParser):
    """Elements of a page: (tag, attributes), and the text of each section."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {"": ""}
        self._section = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.text[self._section] = ""

    def handle_endtag(self, tag):
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        self.text[self._section] += data

    def images(self) -> list[str]:
        """Sources of the pictures and plots."""
        return [attributes["src"] for tag, attributes in self.elements if tag == "img"]


@pytest.fixture
def run(tmp_path) -> Run:
    """A run that passed: 3 classes, 18 test images of which 3 are taken for another class."""
    config = configs.parse(
        {
            "name": "pets",
            "root": str(tmp_path / "runs"),
            "store": "runs/my store",
            "data": {"source": "csv", "path": "/data/pets.csv", "slices": ["camera"]},
            "backbone": {"handle": "/backbones/b", "image_size": [32, 32], "value_range": [0, 1]},
            "gates": {
                "accuracy": 0.5,
                "slices": {"camera": {"accuracy": 0.1, "min_examples": 5}},
                "negative_transfer": {},
            },
        },
        "test",
    )
    files = {
        "ingest": {"examples": _examples(tmp_path), "rejected": _rejected(tmp_path)},
        "validate": {"anomalies": _anomalies(tmp_path)},
        "train": {"model_run": _history(tmp_path)},
        "predict": {"predictions": _predictions(tmp_path)},
        "labels": {"review": _review(tmp_path)},
        "negative_transfer": {"comparison": _comparison(tmp_path)},
        "quality_gate": {"quality": _quality(tmp_path)},
    }
    outputs = {
        stage: {name: Artifact(name, str(path), {}) for name, path in made.items()} for stage, made in files.items()
    }
    result = RunResult(
        "20250101-000000-000",
        "passed",
        stages=[
            StageRun("ingest", 1.25, True, 512.4, "done", "54 images"),
            StageRun("train", 2.5, False, 900.0, "done"),
        ],
        gates=[Gate("accuracy", 0.8333, 0.5, True, "a floor")],
        metrics={"latency_ms": 4.25},
        model_version=3,
    )
    folder = tmp_path / "report"
    folder.mkdir()
    _metadata(config.run_root, result.run_id, outputs)
    return Run(config, result, outputs, folder)


def _image(label: int, number: int) -> bytes:
    rng = np.random.default_rng(100 * label + number)
    pixels = rng.integers(0, 255, (20, 30, 3) if number % 2 else (120, 200, 3)).astype(np.uint8)
    return image_file(pixels, "PNG" if number % 2 else "JPEG")


def _examples(root: pathlib.Path) -> pathlib.Path:
    folder = root / "examples"
    for split in ("train", "eval", "test"):
        (folder / f"Split-{split}").mkdir(parents=True)
        for shard in range(2):
            path = folder / f"Split-{split}" / f"data_tfrecord-{shard:05d}-of-00002"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for number in range(9 * shard, 9 * shard + 9):
                    writer.write(_example(number))
    return folder


def _example(number: int) -> bytes:
    encoded = _image(number % 3, number)
    values = {
        "input": encoded,
        "label": CLASSES[number % 3].encode(),
        "file": f"pets/{number}\n<img src=x onerror=alert(2)>.png".encode(),
        "sha256": hashlib.sha256(encoded).hexdigest().encode(),
    }
    example = tf.train.Example()
    for name, value in values.items():
        example.features.feature[name].bytes_list.value.append(value)
    return example.SerializeToString()


def _rejected(root: pathlib.Path) -> pathlib.Path:
    folder = root / "rejected"
    folder.mkdir()
    rows = [
        {"file": f"bad-{i}\u202e<b>.jpg", "label": HOSTILE, "reason": "corrupt", "detail": "cut short"}
        for i in range(60)
    ]
    (folder / "rejected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {
        "unit": "images",
        "used": {split: dict.fromkeys(CLASSES, 6) for split in ("train", "eval", "test")},
        "counts": dict.fromkeys(("train", "eval", "test"), 18),
        "domains": {},
        "rejected": {"corrupt": 60},
        "reasons": {"corrupt": "cannot be decoded"},
        "duplicates": 2,
        "bytes": 1_500_000,
        "seconds": 1.0,
        "peak_rss": 1,
        "limits": {},
        "span": None,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def _anomalies(root: pathlib.Path) -> pathlib.Path:
    folder = root / "anomalies"
    for split in ("train", "test"):
        found = anomalies_pb2.Anomalies()
        if split == "test":
            found.anomaly_info["camera"].short_description = "New value"
            found.anomaly_info["camera"].description = f"Value {HOSTILE} is not in the domain"
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    return folder


def _history(root: pathlib.Path) -> pathlib.Path:
    folder = root / "model_run"
    folder.mkdir()
    epochs = [
        {
            "epoch": i + 1,
            "phase": "head" if i < 3 else "fine_tune",
            "loss": 1 / (i + 1),
            "accuracy": 0.1 * i,
            "val_loss": 1.1 / (i + 1),
            "val_accuracy": 0.09 * i,
            "seconds": 0.1,
        }
        for i in range(6)
    ]
    history = {"method": "fine_tune", "epochs": epochs, "best_epoch": 6, "steps": 6, "max_epochs": 9, "resumed_at": 2}
    (folder / "history.json").write_text(json.dumps(history))
    return folder


def _review(root: pathlib.Path) -> pathlib.Path:
    folder = root / "review"
    folder.mkdir()

    def one(number: int) -> dict:
        digest = hashlib.sha256(_image(number % 3, number)).hexdigest()
        file = f"pets/{number}\n<img src=x onerror=alert(2)>.png"
        return {"file": file, "split": "test", "label": CLASSES[number % 3], "sha256": digest}

    sure = {"for_given": 0.04, "for_suggested": 0.95, "score": 0.91, "flagged": True}
    labels = [
        {**one(number), "given": CLASSES[number % 3], "suggested": HOSTILE, **sure, "nearest_duplicate": None}
        for number in range(3)
    ]
    labels[2] |= {"flagged": False}
    pairs = [
        {"distance": 0.01, "contradicting": True, "across_splits": False, "first": one(0), "second": one(4)},
        {"distance": 0.02, "contradicting": False, "across_splits": True, "first": one(1), "second": one(7)},
    ]
    near = {"usual": 0.25, "limit": 0.05, "looked_at": 50, "pairs": 2, "contradicting": 1, "across_splits": 1}
    found = {
        **{"examples": {"train": 18, "eval": 18, "test": 18}, "why_no_test": "", "learned_from": 36, "right": 0.75},
        **{"score_name": "accuracy", "flagged": 2, "ranked": 54, "why_none": "", "rule": "The rule.", "pairs": pairs},
        **{"score_words": "margin", "support": "probability", "labels": labels, "near": near | {"within": 0}},
        "previews": {
            f"test/{one(number)['sha256']}": {"image": thumbnail(_image(number % 3, number))}
            for number in (0, 1, 2, 4, 7)
        },
    }
    (folder / "labels.json").write_text(json.dumps(found))
    return folder


def _comparison(root: pathlib.Path) -> pathlib.Path:
    folder = root / "comparison"
    folder.mkdir()
    compared = {
        "seeds": [0, 1, 2],
        "test_examples": TEST_IMAGES,
        "epochs": 5,
        "score": "accuracy",
        "scores": {"transferred": [0.8, 0.9, 0.7], "raw_head": [0.5, 0.4, 0.6]},
        "gap": {"raw_head": {"mean": -0.3, "interval": [-0.4, -0.2]}},
        "beyond_luck": -0.3,
        "best_reference": "raw_head",
        "statement": "Transferring is better than not transferring.",
    }
    (folder / "comparison.json").write_text(json.dumps(compared))
    return folder


def _target(names: tuple[str, ...] = CLASSES):
    return make_target(KINDS.options("label")(), names)


def _predictions(root: pathlib.Path, wrong: tuple[int, ...] = (4, 10, 13)) -> pathlib.Path:
    labels = np.arange(TEST_IMAGES) % 3
    predicted = labels.copy()
    predicted[list(wrong)] = (labels[list(wrong)] + 1) % 3
    confidence = np.linspace(0.5, 0.95, TEST_IMAGES)
    probabilities = np.repeat((1 - confidence[:, None]) / 2, 3, axis=1).astype(np.float32)
    probabilities[np.arange(TEST_IMAGES), predicted] = confidence
    sha256 = [hashlib.sha256(_image(i % 3, i)).hexdigest().encode() for i in range(TEST_IMAGES)]
    Predictions(_target(), labels, probabilities, sha256, {}, 20.0).save(str(root / "predictions"))
    return root / "predictions"


def _quality(root: pathlib.Path) -> pathlib.Path:
    folder = root / "quality"
    folder.mkdir(exist_ok=True)
    kept = load(str(root / "predictions"))
    figures = {
        "target": kept.target.description(),
        "candidate": kept.target.figures(kept.encoded, kept.answers),
        "model_size_mb": 9.87,
        "slices": {
            "camera": {
                "left": {"examples": 14, "accuracy": 0.8, "macro_f1": 0.7},
                HOSTILE: {"examples": 4, "accuracy": 0.25, "macro_f1": 0.2},
            }
        },
        "baseline": {
            "version": 2,
            "accuracy": 0.75,
            "classes": list(CLASSES),
            "added": [HOSTILE],
            "removed": [],
            "comparable": True,
            "shared": 2,
            "examples": 12,
            "candidate": 0.8333,
            "rival": 0.75,
            "gap": -0.0833,
            "interval": [-0.2, 0.03],
            "beyond_luck": -0.0833,
            "statement": "is right on 0.7500",
        },
    }
    (folder / "figures.json").write_text(json.dumps(figures))
    return folder


def _metadata(root: pathlib.Path, run_id: str, outputs: dict[str, dict[str, Artifact]]) -> None:
    writer = MetadataWriter(root, "pets")
    for stage, made in outputs.items():
        ids = {name: writer.artifact(artifact.type, artifact.uri) for name, artifact in made.items()}
        writer.execution(
            run_id,
            stage,
            ids,
            data={"source": "csv", "path": "/data/pets.csv"},
            fingerprint="f" * 64,
            code="c" * 64,
        )


@pytest.mark.slow
def test_warnings_stand_at_the_top_of_report_and_card(run):
    run.result.warnings = [RunWarning(NO_QUALITY_GATE, f"no {HOSTILE}", grave=True), RunWarning("other", "more epochs")]
    page = run.write()
    assert "Passed without a quality gate" in page and "<li>more epochs.</li>" in page
    assert "<li><strong>no &lt;script&gt;alert(1)&lt;/script&gt;.</strong></li>" in page
    card = (run.folder / "model_card.md").read_text()
    assert "**No quality gate was set.** Every other gate was open." in card and "Every gate was open." not in card
    assert "- **no " in card and "- more epochs." in card
    run.result.warnings = []
    page, card = run.write(), (run.folder / "model_card.md").read_text
    assert "without a quality gate" not in page and 'class="warnings"' not in page
    assert "Every gate was open." in card() and "## Warnings" not in card()


def test_a_run_without_floors_is_told_what_to_set(run):
    gate = find("quality_gate")
    assert NO_QUALITY_GATE not in [w.code for w in warned(gate, Ran(run.config, run.result, run.outputs))]
    for limits in (run.config.gates, run.config.gates.slices["camera"]):
        limits.accuracy = None
    found = {w.code: w for w in warned(gate, Ran(run.config, run.result, run.outputs))}
    assert found[NO_QUALITY_GATE].grave and "at the least gates.accuracy 0.5" in found[NO_QUALITY_GATE].text


def test_every_section_is_there(run):
    page = Page(run.write())
    assert [name for name in page.text if name] == list(SECTIONS)
    assert not [name for name in SECTIONS if "Cannot be shown" in page.text[name]]
    assert "Passed" in page.text[""]
    assert "0.833" in page.text[""]
    assert "n = 18" in page.text[""]
    for section, words in {
        "gates": ("accuracy", "0.8333", "0.5", "open"),
        "data": ("54 of 114 images used", "1.5 MB", "2 of them duplicates"),
        "rejected": ("60 images rejected", "first 50", "corrupt", "cut short"),
        "anomalies": ("camera", "New value"),
        "training": ("3 epochs of head", "3 epochs of fine tune", "weights of epoch 6", "after epoch 2"),
        "mistakes": ("3 of 18", "true: ", "0.844"),
        "comparisons": (
            "0.8333",
            "served version 2",
            "0.7500",
            "-0.0833",
            "-0.200 to +0.030",
            "New:",
            "12 show a class",
        ),
        "labels": (
            "2 labels of 18 train",
            "probability 0.95 against 0.04",
            "test, flagged",
            "distance 0.0100",
            HOSTILE,
        ),
        "negative_transfer": ("better than", "raw head", "0.400", "0.500", "0.600", "-0.300"),
        "slices": ("camera", "left", "14", "0.800"),
        "timings": ("ingest", "1.2", "512", "cached", "3.8", "900"),
        "lineage": ("f" * 64, "c" * 64, "20250101-000000-000"),
        "config": ("min_examples: 5", "epochs: 20"),
    }.items():
        assert [word for word in words if word not in page.text[section]] == [], section


@pytest.mark.slow
def test_classes_that_are_not_measured_are_named(run):
    path = run.path("ingest", "rejected") / "summary.json"
    summary = json.loads(path.read_text())
    assert "Too few images" not in run.write()
    del summary["used"]["test"][HOSTILE], summary["used"]["test"]["cat"], summary["used"]["eval"]["cat"]
    path.write_text(json.dumps(summary))
    page = Page(run.write())
    words = "Too few images to measure every class: there is no image of {} in test; cat in eval and test."
    assert words.format(HOSTILE) in page.text["data"]
    card = (run.folder / "model_card.md").read_text()
    assert words.partition("{}")[0] in card and "in test; cat in eval and test." in card and HOSTILE not in card


def test_one_file_with_nothing_from_outside(run):
    page = Page(run.write())
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "base"}
    assert all(source.startswith("data:image/") for source in page.images())
    addresses = [a for _, attributes in page.elements for name in ("href", "src") if (a := attributes.get(name))]
    assert all(address.startswith(("#", "data:image/")) for address in addresses)


def test_names_from_outside_are_text(run):
    page = run.write()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    shown = Page(page)
    for section in ("data", "samples", "rejected", "anomalies", "quality", "mistakes", "slices"):
        assert HOSTILE in shown.text[section], section
    assert r"pets/4\n<img src=x onerror=alert(2)>.png" in shown.text["mistakes"]


def test_pictures_are_real_and_small(run):
    page = Page(run.write())
    sources = [source for source in page.images() if not source.startswith("data:image/svg")]
    assert len(sources) == 3 * 3 + 3 + 3 + 2 * 2  # samples, mistakes, labels, pairs
    for source in sources:
        image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        assert image.size in ((30, 20), (96, 58))


def test_worst_mistakes_come_first(run):
    sections = {section.name: section for section in build_sections(Ran(run.config, run.result, run.outputs))}
    ((_, shown),) = sections["mistakes"].blocks[1].groups
    assert [preview.file.split("\n")[0] for preview in shown] == ["pets/13", "pets/10", "pets/4"]
    assert [preview.captions[1] for preview in shown] == [f"true: {CLASSES[1]}"] * 3
    assert all(preview.captions[0].startswith(CLASSES[2]) for preview in shown)
    assert shown[0].preview == {"image": thumbnail(_image(1, 13))}


def test_no_mistakes(run):
    root = run.path("predict", "predictions").parent
    _predictions(root, wrong=())
    _quality(root)
    page = Page(run.write())
    assert "None: all 18 test images were classified right." in page.text["mistakes"]
    assert "Most often confused" not in page.text["quality"]


@pytest.mark.slow
def test_predictions_of_other_examples_are_not_shown(run):
    uri = str(run.path("predict", "predictions"))
    kept = load(uri)
    dataclasses.replace(kept, sha256=kept.sha256[::-1]).save(uri)
    text = Page(run.write()).text["mistakes"]
    assert "Cannot be shown" in text
    assert "not the image that was predicted" in text


def test_gate_that_closed(run):
    run.result.status, run.result.model_version = "gate_closed", None
    run.result.reason = f"quality_gate: gate closed: accuracy is 0.83, limit 0.9 ({HOSTILE})"
    run.result.gates = [Gate("accuracy", 0.83, 0.9, False, "a floor"), Gate("recall[x]", None, 0.5, False)]
    run.result.stages[-1].status = "closed"
    page = Page(run.write())
    assert "Gate closed" in page.text[""]
    assert run.result.reason in page.text[""]
    assert page.text["gates"].count("closed") == 2
    assert ("tr", {"class": "closed"}) in page.elements
    card = (run.folder / "model_card.md").read_text()
    assert "Not fit for use" in card
    assert "**closed**" in card
    assert "graft serve" not in card


@pytest.mark.parametrize(
    ("last", "reached"),
    [
        ("ingest", {"data", "samples", "rejected"}),
        ("validate", {"data", "samples", "rejected", "anomalies"}),
        ("train", {"data", "samples", "rejected", "anomalies", "training"}),
    ],
)
def test_stages_that_were_not_reached(run, last, reached):
    run.result.status, run.result.reason, run.result.gates = "failed", "OSError: disk full", []
    page = Page(run.until(last).write())
    assert "OSError: disk full" in page.text[""]
    # What a target shows in sections of its own comes with them.
    absent = {name for name in SECTIONS if "Not reached" in page.text.get(name, "Not reached")}
    assert absent == set(SECTIONS) - reached - {"timings", "lineage", "config"}
    assert (run.folder / "model_card.md").exists() == (last == "train")


@pytest.mark.slow
def test_run_that_failed_before_its_first_stage(run):
    run.outputs, run.result = {}, RunResult("x", "failed", "no data")
    page = Page(run.write())
    assert all("Not reached" in page.text[name] for name in SECTIONS if name not in ("calibration", "config"))


def test_options_that_are_off_are_said_to_be(run):
    run.config.gates.negative_transfer = None
    run.config.data = run.config.data.model_copy(update={"slices": ()})
    figures = run.path("quality_gate", "quality") / "figures.json"
    figures.write_text(json.dumps(json.loads(figures.read_text()) | {"baseline": None}))
    page = Page(run.write())
    assert "gates.negative_transfer is not set" in page.text["negative_transfer"]
    assert "data.slices is empty" in page.text["slices"]
    assert "Nothing was served before" in page.text["comparisons"]


@pytest.mark.slow
def test_broken_artifacts_cost_their_parts_only(run):
    (run.path("train", "model_run") / "history.json").write_text("{")
    (run.path("ingest", "rejected") / "summary.json").unlink()
    page = Page(run.write())
    assert {name for name in SECTIONS if "Cannot be shown" in page.text[name]} == {
        "data",
        "samples",
        "rejected",
        "training",
    }
    assert "macro F1" in page.text[""]


def test_a_plot_that_cannot_be_drawn_costs_its_part_only(run):
    file = run.path("train", "model_run") / "history.json"
    history = json.loads(file.read_text())
    history["epochs"][0]["loss"] = "much"
    file.write_text(json.dumps(history))
    page = Page(run.write())
    assert [name for name in SECTIONS if "Cannot be shown" in page.text[name]] == ["training"]


def test_report_that_cannot_be_written_does_not_raise(run, caplog):
    run.folder.rmdir()
    assert write_report(run.config, run.result, run.outputs, run.folder) is None
    assert "could not be written" in caplog.text


def test_model_card(run):
    run.write()
    card = (run.folder / "model_card.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: pets version 3\n")
    assert r"| images \(n\) | 18 |" in card
    assert "| accuracy | 0.8333 |" in card
    assert "graft serve 'runs/my store'" in card
    assert "Served baseline: version 2 is right on 0.7500." in card
    assert "Weakest class: &lt;script&gt;alert\\(1\\)&lt;/script&gt;, 50 % of its 6 images found." in card
    assert "<script" not in card
    tables = re.findall(r"(?:^\|.*\|\n)+", card, re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1


@pytest.mark.slow
def test_what_the_method_found_out_is_told(run):
    assert "What the method found out" not in Page(run.write()).text["training"]
    file = run.path("train", "model_run") / "history.json"
    words = f"About 41 of 200 rows count; {HOSTILE}."
    findings = [
        {"name": "effective sample size", "value": 41.23456, "words": words},
        {"name": "estimator", "value": "kmm", "words": "It was named."},
    ]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"findings": findings}))
    shown = Page(run.write()).text["training"]
    assert all(told in shown for told in ("What the method found out", "effective sample size", "41.23", words, "kmm"))
    card = (run.folder / "model_card.md").read_text()
    assert "- Found out, effective sample size: 41.23. About 41 of 200 rows count; " in card and HOSTILE not in card


@pytest.mark.slow
def test_many_classes_are_a_picture(run):
    target = _target(tuple(f"class {i}" for i in range(40)))
    labels = np.arange(80) % 40
    probabilities = np.full((80, 40), 0.01)
    probabilities[np.arange(80), (labels + (labels == 0)) % 40] = 0.61
    folder = run.path("quality_gate", "quality")
    figures = json.loads((folder / "figures.json").read_text())
    figures |= {"candidate": target.figures(labels, probabilities), "target": target.description()}
    (folder / "figures.json").write_text(json.dumps(figures))
    page = Page(run.write())
    assert "Confusion matrix" in page.text["quality"] and "predicted class" not in page.text["quality"]
    assert ("img", "Confusion matrix") in [(tag, attributes.get("alt")) for tag, attributes in page.elements]
    assert "Most often confused: class 0 taken for class 1 2 times (100 %)." in page.text["quality"]


@pytest.mark.slow
def test_report_is_quick(run):
    """It holds some ten pictures; it costs processor time as a few dozen plain ones do."""
    run.write()
    start = time.process_time()
    run.write()
    ours = time.process_time() - start
    start = time.process_time()
    for _ in range(5):
        figure = Figure()
        figure.subplots().plot(range(10))
        figure.savefig(io.BytesIO(), format="svg")
    assert ours < 60 * (time.process_time() - start) / 5


def test_lineage_names_the_run_that_did_the_work(run):
    MetadataWriter(run.config.run_root, "pets").execution("later", "ingest", {"examples": 1}, state="CACHED")
    assert Metadata(run.config.run_root).runs()[-1] == "later"
    run.result.run_id = "later"
    assert "20250101-000000-000" in Page(run.until("ingest").write()).text["lineage"]
