"""What is said where the pipeline's packages are absent."""

import pytest

import graft
from graft.models import installation


def test_the_whole_is_here():
    assert installation.missing() == []
    installation.require("graft.run")


def test_what_a_client_lacks_is_one_line(monkeypatch):
    monkeypatch.setattr(installation, "_NEEDED", ("json", "no_such_package"))
    assert installation.missing() == ["no_such_package"]
    for name in ("run", "load", "Features"):
        with pytest.raises(
            graft.GraftError, match=rf"^graft\.{name} needs .* no_such_package .*docs/install\.md$"
        ) as told:
            getattr(graft, name)
        assert "\n" not in str(told.value) and isinstance(told.value, ImportError)
    assert graft.Client.__name__ == "Client"
