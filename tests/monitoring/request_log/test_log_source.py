"""The request log as a source: options, fingerprint, splits, and what an ingestion makes of it beside other data."""

import json
import pickle

import drift_samples as samples
import numpy as np
import pydantic
import pytest
from ingest_request import request

from graft.components.ingest import sources
from graft.components.ingest.fingerprint import fingerprint
from graft.components.ingest.preflight import check_source
from graft.components.ingest.reasons import Reason
from graft.components.ingest.spans import open_sources
from graft.components.ingest.splits import SPLITS
from graft.models.errors import GraftError
from graft.monitoring.request_log import source

TEXTS = [f"words number {number} of many".encode() for number in range(40)]
TARGET = {"kind": "label", "class_names": ["rose", "tulip"]}


def options(**given):
    return {"source": "request_log", "path": "log", "model": "m"} | given


@pytest.fixture
def log(tmp_path):
    """40 requests of one text, all but the last labelled."""
    answer = np.float32([[0.9, 0.1]])
    requests = [samples.request(f"r{n}", [text], answer, 1000.0 + n) for n, text in enumerate(TEXTS)]
    samples.write_log(tmp_path / "log", requests)
    labels = [{"request_id": f"r{n}", "label": ("rose", "tulip")[n % 2]} for n in range(len(TEXTS) - 1)]
    samples.put_labels(tmp_path, labels)
    return tmp_path / "log"


@pytest.fixture
def base(tmp_path):
    """A CSV with 30 texts of its own, and two of the log: one labelled alike, one otherwise."""
    lines = [f"an old text {number},{('rose', 'tulip')[number % 2]}" for number in range(30)]
    lines += [f"{TEXTS[0].decode()},rose", f"{TEXTS[2].decode()},tulip"]
    path = tmp_path / "old.csv"
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return {"source": "csv", "path": str(path)}


def asked(log, **data):
    return request(input={"kind": "text"}, target=TARGET, **options(path=str(log), **data))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": ""}, "model"),
        ({"since": "soon"}, "'soon' is no time; allowed: ISO 8601"),
        ({"since": "2024-01-02", "until": "2024-01-01"}, "must be before until"),
        ({"path": "log/{SPAN}"}, "holds {SPAN}; allowed: the folder of a request log"),
        ({"most": 0}, "greater than or equal to 1"),
        ({"base": {"source": "request_log", "path": "x", "model": "m"}}, "must be one of image_folder, csv"),
        ({"base": {"source": "csv", "path": "x", "max_rejected": 0.5}}, "base.max_rejected is given"),
        ({"base": {"source": "csv", "path": "x", "split": {"eval": 0.1}}, "split": {"eval": 0.2}}, "split differ"),
        ({"base": {"source": "csv", "path": "x", "slices": ["site"]}}, r"slices is \[\], base.slices \['site'\]"),
        ({"base": {"source": "csv", "path": "x", "group": "patient"}}, "group is given for one of"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        sources.parse_options(options(**given))


def test_what_fits_is_taken_and_survives_json():
    base = {"source": "csv", "path": "x", "split": {"eval": 0.1, "test": 0.2}, "slices": ["site"], "group": "patient"}
    found = sources.parse_options(options(base=base, slices=["site"], group="patient", since="2024-01-01"))
    assert (found.split.eval, found.split.test) == (0.1, 0.2)
    assert sources.parse_options(json.loads(found.model_dump_json(by_alias=True))) == found


def test_the_fingerprint_follows_the_rows_and_no_file(log, tmp_path):
    before = fingerprint(asked(log))
    samples.write_log(log, [samples.request("r3", [TEXTS[3]], np.float32([[0.9, 0.1]]), 1003.0)])  # once more
    samples.write_log(log, [samples.request("new", [b"new"], np.float32([[0.9, 0.1]]), 2000.0)])  # without a label
    assert fingerprint(asked(log)) == before
    samples.put_labels(tmp_path, {"new": "rose"})
    assert fingerprint(asked(log)) != before
    assert fingerprint(asked(log, until="1970-01-01T00:33:00Z")) == before


def test_the_fingerprint_follows_the_files_of_base(log, base, tmp_path):
    before = fingerprint(asked(log, base=base))
    assert fingerprint(asked(log)) != before
    with (tmp_path / "old.csv").open("a") as file:
        file.write("one more text,rose\n")
    assert fingerprint(asked(log, base=base)) != before


def test_a_chunk_gives_its_rows_and_says_which_are_gone(log):
    [(_, opened)] = open_sources(asked(log))
    [chunk] = pickle.loads(pickle.dumps(opened)).chunks()
    items = list(chunk.read())
    assert [item.content for item in items] == TEXTS[:-1] and chunk.size == len(items)
    assert (items[0].file, items[0].about.value) == ("r0#0", ("rose",))
    for path in log.glob("*.tfrecord"):
        path.unlink()
    gone = list(chunk.read())
    assert {item.reason for item in gone} == {Reason.UNREADABLE} and len(gone) == len(items)


def test_other_columns_of_a_label_are_slices_and_a_request_is_of_the_target_domain(log, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("request_id,label,site\nr39,rose,oslo\n")
    from graft.monitoring.request_log.labels import LabelStore

    with LabelStore(log) as store:
        store.add("m", path, ("label", "site"))
    domain = {"column": "place", "target": "live"}
    [(_, opened)] = open_sources(asked(log, slices=["site"], domain=domain, weight="w"))
    entries = list(opened.entries())
    assert entries[-1].columns == {"site": "oslo"} and entries[0].columns == {"site": ""}
    assert {(entry.domain, entry.weight) for entry in entries} == {("target", 1.0)}


def test_a_check_counts_base_and_log_and_an_empty_log_is_told(log, base, tmp_path):
    report = check_source(asked(log, base=base))
    assert report.classes == {"rose": 20 + 16, "tulip": 19 + 16}
    samples.write_log(tmp_path / "empty", [])
    (tmp_path / "empty").mkdir(exist_ok=True)
    with pytest.raises(GraftError, match="no labelled text; target"):
        check_source(asked(tmp_path / "empty"))


def test_ingestion_joins_log_and_base_without_a_leak_and_says_what_was_left_out(log, base, tmp_path):
    """Copies with one label are all used and in one split, copies under two labels are refused, as from any source."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from graft.components.beam import LOCAL_BEAM_ARGS
    from graft.components.ingest import ingestion
    from graft.components.ingest.summary import read_rejected, read_summary
    from graft.models.tfrecord_file import read_records

    def places(name: str, asked) -> dict[str, str]:
        """File -> split."""
        ingestion.ingest(
            asked,
            str(tmp_path / name),
            str(tmp_path / f"{name}-rejected"),
            lambda: beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS))),
        )
        import tensorflow as tf

        found = {}
        for split in SPLITS:
            for shard in (tmp_path / name / f"Split-{split}").iterdir():
                for record in read_records(shard, 2**20):
                    features = tf.train.Example.FromString(record).features.feature
                    found[features["file"].bytes_list.value[0].decode()] = split
        return found

    alone = places("alone", asked(log))
    joined = places("joined", asked(log, base=base))
    summary = read_summary(str(tmp_path / "joined-rejected"))
    assert summary.left_out == {"no_label": 1} and "has not come" in summary.reasons["no_label"]
    assert summary.duplicates == 1 and joined["r0#0"] == joined["base/old.csv#30"]
    conflicts = {row["file"] for row in read_rejected(str(tmp_path / "joined-rejected"))}
    assert summary.rejected == {"label_conflict": 2} and conflicts == {"r2#0", "base/old.csv#31"}
    assert {file: joined[file] for file in alone if file != "r2#0"} == {f: s for f, s in alone.items() if f != "r2#0"}
    assert json.loads((tmp_path / "joined-rejected" / "summary.json").read_text())["left_out"] == {"no_label": 1}


def test_the_source_is_registered_by_its_entry_point():
    assert sources.REGISTRY.module("request_log") is source
