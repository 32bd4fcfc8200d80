"""The command line: exit codes, one JSON object on stdout, and errors in one line."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from graft.pipeline import cli

GOOD = """
name: trashnet
data: {source: image_folder, path: nowhere}
backbone: {handle: nothing}
"""


@pytest.fixture
def graft(capsys, tmp_path, monkeypatch):
    """graft(*args) -> (exit code, stdout, stderr), in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.main(args)
        return code, *capsys.readouterr()

    return run


def save_version(store, name: str, content: str) -> int:
    """Pushes a SavedModel in name only."""
    from graft.serving.store import open_store

    folder = store.parent / f"model-{content}"
    folder.mkdir()
    (folder / "saved_model.pb").write_text(content)
    return open_store(store).push(name, folder, {})


@pytest.fixture
def store(tmp_path):
    """A store of two versions of the model `birds`; version 2 is served."""
    for content in ("one", "two"):
        save_version(tmp_path / "store", "birds", content)
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "absent.yaml"], "/absent.yaml): no such file; `graft init` writes a configuration to start from"),
        (["models", "list", "--store", "absent"], "/absent: no such folder; a first push makes it"),
        (["models", "verify", "--store", "absent"], "/absent: no such folder; a first push makes it"),
        (["models", "rollback", "birds", "--store", "absent"], "/absent: no such folder; a first push makes it"),
        (["runs", "--root", "absent"], "/absent): no metadata of any pipeline; `graft run` makes it"),
        (["lineage", "1", "--root", "absent"], "/absent): no metadata of any pipeline; `graft run` makes it"),
        (
            ["predict", "absent.png", "--server", "localhost:1", "--model", "m"],
            "/absent.png): No such file or directory",
        ),
    ],
)
def test_a_user_error_is_one_line_and_one_json_object(graft, args, message):
    code, stdout, stderr = graft(*args, "--json")
    assert code == 2
    value = json.loads(stdout)
    assert value["status"] == "error" and value["error"].endswith(message)
    assert stderr == f"graft: {value['error']}\n"
    code, stdout, stderr = graft(*args)
    assert (code, stdout) == (2, "") and stderr.endswith(f"{message}\n")


@pytest.mark.parametrize(
    "args", [[], ["rnu"], ["run"], ["run", "a.yaml", "--form", "train"], ["models", "pin", "birds"]]
)
def test_wrong_usage_exits_with_2(graft, capsys, args):
    with pytest.raises(SystemExit) as exit:
        graft(*args)
    assert exit.value.code == 2
    assert "usage: graft" in capsys.readouterr().err


def test_a_typo_in_the_configuration(graft, tmp_path):
    (tmp_path / "my.yaml").write_text(GOOD + "trane: {}\n")
    code, stdout, stderr = graft("run", "my.yaml", "--json")
    assert code == 2
    assert json.loads(stdout)["error"].startswith("my.yaml: trane: unknown key (value {}); did you mean 'train'? ")
    assert stderr.count("\n") == 1


@pytest.mark.slow
def test_a_pipe_or_a_huge_file_to_predict_is_refused_at_once(graft, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    args = ("--server", "localhost:1", "--model", "birds")
    code, out, err = graft("predict", "pipe.png", *args)
    assert (code, out) == (2, "")
    assert err.endswith(f"graft: pipe.png ({tmp_path}/pipe.png): is a FIFO, not a regular file\n")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    assert "huge.png): larger than the 268435456 bytes" in graft("predict", "huge.png", *args)[2]


@pytest.mark.parametrize("target", ["taken/my.yaml", "/dev/full/my.yaml"])
def test_init_into_a_place_that_takes_no_file(graft, tmp_path, target):
    (tmp_path / "taken").write_text("a file where a folder should be")
    code, out, err = graft("init", target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert target.split("/my")[0] in err and ".tmp-" not in err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--server", "http://localhost:8501"), "gRPC takes no URL; give HOST:PORT with the gRPC port"),
        (("--server", "localhost"), "received the port ''; give HOST:PORT"),
        (("--server", "localhost:99999"), "received the port '99999'; give HOST:PORT"),
        (("--server", "localhost:1", "--deadline", "-1"), "--deadline: received -1; allowed: seconds above 0"),
    ],
)
def test_an_address_or_a_deadline_that_cannot_be(graft, tmp_path, args, told):
    (tmp_path / "bird.png").write_bytes(b"png")
    code, _, stderr = graft("predict", "bird.png", "--model", "birds", *args)
    assert code == 2 and told in stderr and stderr.count("\n") == 1


@pytest.mark.slow
def test_a_port_of_http_is_told_as_such(graft, tmp_path):
    (tmp_path / "bird.png").write_bytes(b"png")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        _, _, stderr = graft("predict", "bird.png", "--model", "birds", "--server", address, "--deadline", "1")
        server.shutdown()
    assert "give the gRPC port" in stderr.splitlines()[-1]


def test_no_server_to_predict(graft, tmp_path):
    (tmp_path / "bird.png").write_bytes(b"png")
    code, stdout, stderr = graft(
        *("predict", "bird.png", "--server", "127.0.0.1:1", "--model", "birds", "--deadline", "0.5", "--json")
    )
    assert code == 2
    assert "127.0.0.1:1" in json.loads(stdout)["error"]
    assert "Traceback" not in stderr and stderr.count("\n") == 1


def test_predict_takes_the_only_model(graft, store, tmp_path, monkeypatch):
    from graft.models.inputs import input_of_signature
    from graft.serving import client

    asked = []

    def refuse(self, inputs, *_, **__):
        asked.append((self.model, [*inputs["image_bytes"]]))
        raise client.ClientError("no good")

    monkeypatch.setattr(client.Client, "predict", refuse)
    monkeypatch.setattr(client.Client, "takes", input_of_signature(["image_bytes"]))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    args = ("predict", "a.png", "b.png", "--server", "127.0.0.1:1", "--store", str(store))
    code, out, err = graft(*args)
    assert (code, out, err.splitlines()[-1]) == (2, "", "graft: no good")
    assert asked == [("birds", [b"a.png", b"b.png"])]
    save_version(store, "fish", "three")
    held = f"{store} holds 2 models (birds, fish)"
    assert graft(*args)[2].endswith(f"graft: {held}; say which one to ask, with --model on the command line\n")


def test_models_list(graft, store):
    code, stdout, _ = graft("models", "list", "--store", str(store), "--json")
    rows = json.loads(stdout)["models"]
    assert code == 0
    assert [(row["model"], row["version"], row["state"]) for row in rows] == [("birds", 1, ""), ("birds", 2, "served")]
    _, stdout, _ = graft("models", "list", "birds", "--store", str(store))
    assert stdout.splitlines()[0].split() == ["model", "version", "pushed", "on", "its", "test", "split", "state"]


def test_models_list_of_an_unknown_model(graft, store):
    code, _, stderr = graft("models", "list", "fish", "--store", str(store))
    assert code == 2 and stderr.endswith("no model fish; there are: birds\n")


def test_models_rollback_pin_unpin(graft, store):
    def verb(*args):
        code, stdout, _ = graft("models", *args, "--store", str(store), "--json")
        assert code == 0
        return json.loads(stdout)

    assert verb("rollback", "birds") == {"model": "birds", "version": 1, "pinned": True}
    assert verb("list")["models"][0]["state"] == "served, pinned"
    assert verb("pin", "birds", "2") == {"model": "birds", "version": 2, "pinned": True}
    assert verb("unpin", "birds") == {"model": "birds", "version": 2, "pinned": False}
    code, _, stderr = graft("models", "pin", "birds", "7", "--store", str(store))
    assert code == 2 and "no version 7; there are: 1, 2" in stderr


def test_models_verify(graft, store):
    code, stdout, _ = graft("models", "verify", "--store", str(store))
    assert (code, stdout) == (0, "birds: every file is as its manifest says\n")
    (store / "birds" / "1" / "saved_model.pb").write_text("tampered")
    code, stdout, _ = graft("models", "verify", "birds", "--store", str(store), "--json")
    assert code == 1
    assert json.loads(stdout)["faults"] == ["birds/1/saved_model.pb: 8 bytes, the manifest says 3"]


def test_an_error_of_the_system_is_one_line_too(graft, tmp_path):
    (tmp_path / "runs" / "trashnet" / "lock").mkdir(parents=True)  # where a file should be
    (tmp_path / "my.yaml").write_text(GOOD)
    code, stdout, stderr = graft("run", "my.yaml", "--json")
    assert code == 2
    assert "lock" in json.loads(stdout)["error"] and "Is a directory" in json.loads(stdout)["error"]
    assert stderr.splitlines() == ["trashnet: checking the data", f"graft: {json.loads(stdout)['error']}"]


def test_a_fault_of_graft_itself_is_no_closed_gate(graft, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "_models", broken)
    code, stdout, stderr = graft("models", "list", "--json")
    assert code == 3
    assert json.loads(stdout) == {"status": "error", "error": "RuntimeError: a bug"}
    assert "Traceback" in stderr


def test_a_closed_pipe_ends_quietly(store):
    process = subprocess.Popen(
        [sys.executable, "-m", "graft.pipeline.cli", "models", "list", "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 2


def test_runs_of_a_pipeline_that_never_came_to_a_stage(tmp_path, capsys):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "lock").touch()
    assert cli.main(["runs", "--root", str(tmp_path)]) == 2  # it was looked at, and no run began
    (tmp_path / "p" / "runs" / "one").mkdir(parents=True)
    (tmp_path / "p" / "runs" / "one" / "run.json").write_text('{"status": "interrupted"}')
    capsys.readouterr()
    assert cli.main(["runs", "--root", str(tmp_path), "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["runs"]
    assert (row["pipeline"], row["run"], row["status"], row["stages"]) == ("p", "one", "interrupted", 0)
