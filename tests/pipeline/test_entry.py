"""Where the command begins: the whole of it, or the client alone, which `test_wheel` tries as it is installed."""

import pytest

from graft.models import installation
from graft.pipeline import entry


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(installation, "missing", lambda: ["tensorflow", "tfx"])


def test_the_whole_takes_over_where_it_is_there(capsys):
    with pytest.raises(SystemExit, match="0"):
        entry.main(["--help"])
    assert "run a pipeline: from data to a gated, pushed model" in capsys.readouterr().out


def test_the_client_alone_says_in_its_help_what_it_is(alone, capsys):
    with pytest.raises(SystemExit, match="0"):
        entry.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "need the pipeline's packages, which are not installed here; docs/install.md says how" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "flowers.yaml"], "graft: `run` needs the pipeline's packages, and tensorflow, tfx are missing here; "),
        (["predict", "a.png"], "graft: `predict` without --server needs the pipeline's packages"),
        (
            ["predict", "a.png", "--server", "localhost:1", "--model", "m", "--format", "table"],
            "`predict --format table`",
        ),
        (["predict", "a.png", "--server", "localhost:1"], "graft: --model is missing; name the model of the server"),
        (["predict", "a.png", "--server", "localhost:1", "--model", "m"], "No such file or directory"),
    ],
)
def test_what_the_client_alone_cannot_do_is_one_line(alone, capsys, words, says):
    assert entry.main(words) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and not out
