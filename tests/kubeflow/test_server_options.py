"""Where the server is and who asks: a token comes from the environment or from a file, and goes nowhere else."""

import pydantic
import pytest

from graft.kubeflow.server_options import ServerOptions
from graft.models.errors import GraftError
from graft.pipeline import config as configs

SECRET = "s3cret-of-the-cluster"


def test_no_place_no_token():
    assert ServerOptions(host="http://kubeflow.example").token() is None


def test_a_token_of_the_environment(monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", SECRET)
    assert ServerOptions(host="https://kubeflow.example", token_env="KFP_TOKEN").token() == SECRET


def test_a_token_of_a_file_is_read_anew(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    options = ServerOptions(host="https://kubeflow.example", token_file=str(path))
    assert options.token() == SECRET
    path.write_text("renewed")
    assert options.token() == "renewed"


@pytest.mark.parametrize("content", ["", "two words", "line\nbreak", f"{SECRET}\x00", "ä"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path, content):
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(GraftError, match=r"kubeflow\.server\.token_file: .*(holds no token|it is no text)") as refused:
        ServerOptions(host="https://kubeflow.example", token_file=str(path)).token()
    assert not content or content not in str(refused.value)


def test_a_place_without_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("KFP_TOKEN", raising=False)
    with pytest.raises(GraftError, match="environment variable KFP_TOKEN is not set"):
        ServerOptions(host="https://kubeflow.example", token_env="KFP_TOKEN").token()
    with pytest.raises(GraftError, match="No such file"):
        ServerOptions(host="https://kubeflow.example", token_file=str(tmp_path / "none")).token()


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("https://kubeflow.example/pipeline", True),
        ("http://localhost:8888", True),
        ("http://127.0.0.1:8888", True),
        ("http://[::1]:8888", True),
        ("http://ml-pipeline.kubeflow.svc:8888", True),
        ("http://ml-pipeline.kubeflow.svc.cluster.local:8888", True),
        ("http://kubeflow.example", False),
        ("http://10.0.0.7:8888", False),
        ("http://localhost.example", False),
    ],
)
def test_a_token_goes_over_no_open_network(host, private, monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", SECRET)
    options = ServerOptions(host=host, token_env="KFP_TOKEN")
    if private:
        assert options.token() == SECRET
    else:
        with pytest.raises(GraftError, match=f"received {host}, which would send the token unencrypted"):
            options.token()


@pytest.mark.parametrize(
    "host", ["kubeflow.example", "ftp://x", "http://", "http://x?y=1", "http://x:port", "http://a b"]
)
def test_what_is_no_address(host):
    with pytest.raises(pydantic.ValidationError, match=r"http\[s\]://HOST"):
        ServerOptions(host=host)


def config_with(server):
    raw = {"name": "flowers", "data": {"source": "csv", "path": "p"}, "backbone": {"handle": "b"}}
    return configs.parse(raw | {"kubeflow": {"server": server}}, "flowers.yaml")


@pytest.mark.parametrize("key", ["token", "password", "cookie", "existing_token", "api_key"])
def test_a_secret_in_the_configuration_is_refused_and_not_repeated(key):
    with pytest.raises(GraftError, match=rf"kubeflow\.server\.{key}: .*token_env.*token_file") as refused:
        config_with({"host": "https://kubeflow.example", key: SECRET})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("key", ["host", "ui"])
def test_so_is_a_password_in_an_address(key):
    with pytest.raises(GraftError, match="holds a user or a password") as refused:
        config_with({key: f"https://me:{SECRET}@kubeflow.example"})
    assert SECRET not in str(refused.value)


def test_an_unknown_key_is_named():
    with pytest.raises(GraftError, match=r"kubeflow\.server\.hots: unknown key .*did you mean 'host'"):
        config_with({"hots": "https://kubeflow.example"})


def test_two_places_for_a_token():
    with pytest.raises(GraftError, match="token_env and token_file are both given"):
        config_with({"token_env": "A", "token_file": "b"})
