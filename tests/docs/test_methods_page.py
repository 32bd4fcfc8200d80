"""The pages on methods: every method is there, and the table is what the measured rows say."""

import docs_pages as pages

from benchmarks.methods import MEASURED, experiments, table
from graft.models.transfer import METHODS


def test_every_method_is_on_the_page():
    text = (pages.TOP / "docs" / "methods.md").read_text(encoding="utf-8")
    assert [name for name in METHODS if f"| `{name}` | `transfer: {{method: {name}" not in text] == []


def test_every_method_has_an_experiment():
    assert {experiment.method for experiment in experiments()} >= {*METHODS}


def test_the_table_is_written_from_the_measured_rows():
    written = (pages.TOP / "docs" / "methods-table.md").read_text(encoding="utf-8")
    rows = table.load(pages.TOP / MEASURED)
    assert written == table.markdown(rows, MEASURED)
    assert all(row["seeds"] >= 3 for row in rows)


def test_every_experiment_was_measured_and_no_row_is_of_another():
    rows = table.load(pages.TOP / MEASURED)
    assert {f"{row['method']}: {row['experiment']}" for row in rows} == {one.key for one in experiments()}
