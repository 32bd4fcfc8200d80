"""`data.domain` and `data.weight`: what is told, what is refused, and that splits and order stay as they were."""

import random

import numpy as np
import pytest
from ingest_request import read, request

from graft.components.ingest import preflight
from graft.models.errors import GraftError

DOMAIN = {"column": "site", "target": "ward"}


@pytest.fixture
def table(make_folder):
    """table(lambda number: (site, weight)) -> a CSV of 60 cats and 60 dogs with these columns."""
    root = make_folder({"cat": 60, "dog": 60})

    def write(told, name="labels.csv", shuffled=None):
        lines = []
        for number, path in enumerate(sorted(root.glob("*/*.png"))):
            site, weight = told(number)
            lines.append(f"{path.relative_to(root)},{path.parent.name},{site},{weight}")
        if shuffled is not None:
            random.Random(shuffled).shuffle(lines)
        (root / name).write_text("\n".join(["path,label,site,share", *lines]) + "\n", encoding="utf-8")
        return root / name

    return write


def test_both_are_features_and_each_split_has_the_target_domain(table, ingest):
    path = table(lambda number: ("ward" if number % 2 else "web", 1 + number % 3))
    result = ingest(source="csv", path=path, domain=DOMAIN, weight="share")
    for split in ("train", "eval", "test"):
        rows = read(result, split, "file", "domain", "weight")
        numbers = [int(file.decode()[4:9]) for file, _, _ in rows]
        assert [domain for _, domain, _ in rows] == [b"target" if n % 2 else b"source" for n in numbers]
        assert [weight for _, _, weight in rows] == [1 + n % 3 for n in numbers]
        there = {name: len(read(result, split, "file", domain=name)) for name in ("source", "target")}
        assert result.summary.domains[split] == there and there["target"]
        assert sum(there.values()) == result.summary.counts[split]


@pytest.mark.slow
def test_they_move_nothing_that_needs_not_move_and_no_order_decides(table, ingest):
    told = lambda number: ("ward" if number % 2 else "web", 0.5)  # noqa: E731
    plain = ingest(source="csv", path=table(told)).split_of()
    first = ingest(source="csv", path=table(told), domain=DOMAIN, weight="share")
    other = ingest(source="csv", path=table(told, "other.csv", shuffled=3), domain=DOMAIN, weight="share")
    assert first.split_of() == plain
    for split in ("train", "eval", "test"):
        assert read(first, split, "sha256", "domain") == read(other, split, "sha256", "domain")


@pytest.mark.slow
def test_a_split_that_would_miss_the_target_domain_gets_some(table, ingest):
    plain = ingest(source="csv", path=table(lambda number: ("x", 1))).split_of()
    in_train = [file for file, split in sorted(plain.items()) if split == "train"]
    ward = {int(file[4:9]) for file in [*in_train[:4], *in_train[-4:]]}  # cats and dogs
    result = ingest(source="csv", path=table(lambda number: ("ward" if number in ward else "web", 1)), domain=DOMAIN)
    assert all(found["target"] >= 2 for found in result.summary.domains.values())
    moved = [file for file, split in result.split_of().items() if plain[file] != split]
    assert len(moved) == 4 and {int(file[4:9]) for file in moved} < ward


@pytest.mark.slow
@pytest.mark.parametrize(
    ("told", "message"),
    [
        (lambda number: ("web", 1), r"both domains need images \(source 120, target 0\); set target to a value"),
        (lambda number: ("ward", 1), r"both domains need images \(source 0, target 120\)"),
        (lambda number: ("ward" if number == 5 else "web", 1), "no image of the target domain in eval and test"),
    ],
)
def test_a_domain_that_is_not_there(table, ingest, told, message):
    data = {"source": "csv", "path": str(table(told)), "domain": DOMAIN}
    with pytest.raises(GraftError, match=f"data.domain.column is 'site'.*{message}"):
        ingest(**data)
    with pytest.raises(GraftError, match=f"data.domain.column is 'site'.*{message}"):
        preflight.check_source(request(**data))


@pytest.mark.slow
@pytest.mark.parametrize("weight", ["", "heavy", "0", "-1", "nan", "inf", "1e-60", "1e60"])
def test_a_weight_that_is_no_weight_is_refused_with_its_row(table, ingest, weight):
    result = ingest(source="csv", path=table(lambda number: ("x", weight if number == 7 else 1.5)), weight="share")
    assert {row["reason"] for row in result.rejected.values()} == {"bad_weight"}
    assert list(result.rejected) == ["cat/00007.png"]
    detail = result.rejected["cat/00007.png"]["detail"]
    assert detail == f"column 'share' holds {weight}; it must be a finite number above 0"


def test_columns_that_are_not_there(table, ingest):
    path = table(lambda number: ("x", 1))
    with pytest.raises(GraftError, match=r"data.weight is 'mass'; there are label, path, share, site"):
        ingest(source="csv", path=path, weight="mass")
    with pytest.raises(GraftError, match=r"data.domain.column is 'place'; there are"):
        ingest(source="csv", path=path, domain={"column": "place", "target": "x"})


def test_lists_name_no_domain_and_missing_values_are_of_the_source(encode, ingest, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    sites = [["ward"], None, "other", *["ward"] * 57]
    rows = {
        "image": [encode(seed) for seed in range(60)],
        "label": ["cat", "dog"] * 30,
        "site": pa.array([site if isinstance(site, str) else None for site in sites]),
        "lists": pa.array([[site] if isinstance(site, str) else site for site in sites]),
        "share": np.linspace(0.5, 2, 60, dtype=np.float32),
    }
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    data = {"source": "parquet", "path": tmp_path / "a.parquet", "weight": "share"}
    result = ingest(**data, domain=DOMAIN)
    assert sum(found["source"] for found in result.summary.domains.values() if "source" in found) == 3
    with pytest.raises(GraftError, match=r"bad_domain .the column data.domain.column holds a list"):
        ingest(**data, domain={"column": "lists", "target": "ward"})


def test_a_class_of_the_source_domain_only_is_learned_and_not_measured(table, ingest, caplog):
    path = table(lambda number: ("ward" if number < 60 else "web", 1))  # cats of the ward, dogs of the web
    with pytest.raises(GraftError, match="one class only"):
        ingest(source="csv", path=path, target={"class_names": ["cat", "cow"]})
    report = preflight.check_source(request(source="csv", path=str(path), domain=DOMAIN))
    assert report.unmeasured == {"dog": ["eval", "test"]}
    result = ingest(source="csv", path=path, domain=DOMAIN)
    assert result.summary.classes == ["cat", "dog"] and result.summary.unmeasured == {"dog": ["eval", "test"]}
    assert "no image of 'dog' in eval and test" in caplog.text
    assert result.summary.used["test"]["dog"] and "dog" not in result.summary.judged["test"]
