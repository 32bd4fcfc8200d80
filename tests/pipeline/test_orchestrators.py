"""Orchestrators are found by their entry point."""

import foreign_package
import pytest

from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import orchestrators


def test_one_of_another_package_is_made_for_the_pipeline(tmp_path, monkeypatch):
    entries = {orchestrators.GROUP: {"elsewhere": "their_cluster:Elsewhere"}}
    source = """
        class Elsewhere:
            def __init__(self, config):
                self.name = config.name
    """
    foreign_package.install(tmp_path, monkeypatch, "their-cluster", entries, source)
    raw = {"name": "flowers", "data": {"source": "csv", "path": "a.csv"}, "backbone": {"handle": "b"}}
    config = configs.parse(raw, "flowers.yaml")
    assert orchestrators.opened("elsewhere", config).name == "flowers"
    with pytest.raises(GraftError, match="orchestrator 'kubeflo' is not installed; allowed: elsewhere"):
        orchestrators.opened("kubeflo", config)
