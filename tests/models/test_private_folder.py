"""Nobody else may put something where downloads are kept."""

import os

import pytest

from graft.models.errors import GraftError
from graft.models.private_folder import hub_cache, require_private


def test_the_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub_cache() == tmp_path / ".cache" / "graft" / "hub"
    assert hub_cache().stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub_cache() == tmp_path / "xdg" / "graft" / "hub"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "named"))
    assert hub_cache() == tmp_path / "named"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(mode)
    with pytest.raises(GraftError, match=f"has mode {mode:04o}, so that others may write there; allowed: "):
        hub_cache()
    tmp_path.chmod(0o755)
    assert hub_cache() == tmp_path


def test_a_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    if tmp_path.stat().st_uid:
        with pytest.raises(GraftError, match=r"belongs to user \d+; allowed: a folder of this user or root"):
            require_private(tmp_path, "another")
    else:
        require_private(tmp_path, "another")  # of root
        os.chown(tmp_path, 4321, -1)
        with pytest.raises(GraftError, match="belongs to user 4321; allowed: a folder of this user or root"):
            require_private(tmp_path, "another")


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(GraftError, match=r"cannot be made to keep downloaded backbones: .* as TFHUB_CACHE_DIR"):
        hub_cache()
