"""A pipeline whose store lies on S3: pushed, compared with what is served, and a teacher from there."""

import pytest
from store_kinds import Objects

from graft.models.errors import GraftError
from graft.pipeline import prepare
from graft.serving.store import open_store


@pytest.mark.slow
def test_a_run_pushes_to_s3_and_the_next_is_compared_with_it(workshop, s3, tmp_path):
    workshop = workshop.beside(tmp_path / "workshop")
    where = ("--set", f"store={s3}")
    outcome = workshop.again(*where)
    assert (outcome.code, outcome.value["model_version"]) == (0, 1), outcome.value["reason"]
    store = open_store(s3)
    assert store.served("shapes") == 1 and store.verify("shapes") == []
    assert all(stage["cached"] for stage in workshop.again(*where).value["stages"])
    changed = workshop.again(*where, "--set", "export.warmup=examples")
    assert (changed.code, changed.value["model_version"]) == (0, 2), changed.stderr
    metadata = store.manifest("shapes", 2)["metadata"]
    assert metadata["baseline"]["version"] == 1 and metadata["baseline"]["path"] == f"{s3}/shapes/1"
    assert next(gate for gate in changed.value["gates"] if gate["name"] == "baseline")["passed"]
    found = workshop.graft("lineage", "2", "--name", "shapes", "--store", s3)
    assert found.code == 0 and found.value["destination"] == f"{s3}/shapes/2"
    assert (store.version_path("shapes", 2) / "assets.extra" / "graft.json").is_file()


@pytest.mark.slow
def test_a_teacher_from_s3(s3, tmp_path, monkeypatch):
    store = open_store(s3)
    for content in ("1", "2"):
        folder = tmp_path / content
        folder.mkdir()
        (folder / "saved_model.pb").write_text(content)
        store.push("pets", folder, {})
    assert (prepare.teacher_folder(f"{s3}/pets") / "saved_model.pb").read_text() == "2", "the served one"
    first = prepare.teacher_folder(f"{s3}/pets/1")
    assert (first / "saved_model.pb").read_text() == "1" and first == store.version_path("pets", 1)
    for nothing in (f"{s3}/pets/3", f"{s3}/cars", s3.rpartition("/")[0], "s3://pets", "s3://"):
        with pytest.raises(GraftError, match=r"transfer\.teacher: .* is neither an exported model nor a model of a st"):
            prepare.teacher_folder(nothing)
    Objects(s3).write("pets/2/saved_model.pb", b"rotten")
    assert prepare.teacher_folder(f"{s3}/pets/2").is_dir(), "brought here before"
    monkeypatch.setenv("GRAFT_STORE_CACHE", str(tmp_path / "another cache"))
    with pytest.raises(GraftError, match="not as the manifest says"):
        prepare.teacher_folder(f"{s3}/pets/2")
