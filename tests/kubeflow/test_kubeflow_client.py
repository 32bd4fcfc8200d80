"""Requests to a Kubeflow Pipelines API on loopback: what is sent, what is tried again, and what an error says."""

import datetime
import ipaddress
import json
import logging
import ssl
import time

import kfp_server_api
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kfp_server_for_tests import TOKEN, KfpServer

from graft.kubeflow.client import PipelinesClient
from graft.kubeflow.server_options import ServerOptions
from graft.models.errors import GraftError

SPEC = {"schemaVersion": "2.1.0", "pipelineInfo": {"name": "flowers"}, "root": {"dag": {"tasks": {}}}}


@pytest.fixture
def server():
    with KfpServer() as server:
        yield server


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def client(server, pauses, monkeypatch):
    return client_of(server, monkeypatch, pauses)


def client_of(server, monkeypatch, pauses=None, token=TOKEN, **options):
    monkeypatch.setenv("KFP_TOKEN", token)
    pause = (lambda seconds: None) if pauses is None else pauses.append
    return PipelinesClient(ServerOptions(host=server.host, token_env="KFP_TOKEN", timeout=5, **options), pause)


def a_run(experiment_id, name="one"):
    return kfp_server_api.V2beta1Run(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_spec=SPEC,
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters={}, pipeline_root="minio://b/r"),
    )


def test_an_experiment_is_made_once(client, server):
    first = client.experiment("flowers", create=True)
    assert client.experiment("flowers", create=True) == client.experiment("flowers") == first
    assert len(server.experiments) == 1


def test_an_experiment_that_is_not_there_is_named(client):
    with pytest.raises(GraftError, match="there is no experiment roses; graft kubeflow submit makes it"):
        client.experiment("roses")


def test_names_are_compared_as_they_are_written(client, server):
    """The server's database takes capitals for small letters."""
    assert client.experiment("Flowers", create=True) != ""
    with pytest.raises(GraftError, match="there is no experiment flowers"):
        client.experiment("flowers")


def test_another_makes_the_experiment_between_look_and_creation(client, server):
    there = client.experiment("flowers", create=True)
    hidden = server.experiments.pop(there)
    server.fail("POST", "/experiments$", (409, "Already exist error"))
    original = server._page

    def page(*arguments):
        found = original(*arguments)
        server.experiments[there] = hidden
        return found

    server._page = page
    assert client.experiment("flowers", create=True) == there


def test_several_pages_are_read(client, server):
    experiment = client.experiment("flowers", create=True)
    for number in range(205):
        server._create("runs", server.runs, json.loads(json.dumps(body_of(a_run(experiment, f"run {number}")))))
    # The server finds the same name three times; only the exact one counts.
    assert client.find_run(experiment, "run 204").display_name == "run 204"
    pages = client._pages("list", client._runs.run_service_list_runs, "runs", experiment_id=experiment)
    assert len(list(pages)) == 205
    assert [one.display_name for one in client.runs(experiment, 2)] == ["run 204", "run 203"]


def body_of(model):
    return kfp_server_api.ApiClient().sanitize_for_serialization(model)


def test_what_reads_is_tried_again(client, server, pauses):
    server.fail("GET", "/experiments", 503)
    server.fail("GET", "/experiments", "drop")
    assert client.experiment("flowers", create=True)
    assert pauses == [0.5, 1.0]


def test_three_tries_and_no_more(client, server, pauses):
    server.fail("GET", "/runs", 503, times=9)
    with pytest.raises(GraftError, match=r"could not list the runs: it is not ready \(503: told to fail with 503\)"):
        client.runs("x", 5)
    assert len(server.requests) == 3


def test_what_cannot_pass_is_not_tried_again(client, server, pauses):
    server.fail("GET", "/runs", 403, times=9)
    with pytest.raises(GraftError, match="forbidden"):
        client.runs("x", 5)
    assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("fault", ["drop stored", "drop", 500, 503], ids=str)
def test_a_creation_is_sent_once_whatever_becomes_of_its_answer(client, server, fault):
    experiment = client.experiment("flowers", create=True)
    server.fail("POST", "/runs$", fault)
    if fault == "drop stored":
        assert client.create_run(a_run(experiment)).run_id in server.runs
    else:
        with pytest.raises(GraftError, match="may still be made: look with graft kubeflow status"):
            client.create_run(a_run(experiment))
    assert server.requests.count(("POST", "/apis/v2beta1/runs")) == 1


def test_a_creation_that_appears_late_is_found(client, server, pauses):
    experiment = client.experiment("flowers", create=True)
    server.fail("POST", "/runs$", "drop")
    client._pause = lambda seconds: server._create("runs", server.runs, body_of(a_run(experiment)))
    assert client.create_run(a_run(experiment)).run_id in server.runs


def test_a_server_that_hangs(server, monkeypatch):
    client = PipelinesClient(ServerOptions(host=server.host, timeout=0.2), lambda seconds: None)
    server.fail("GET", "/runs", "hang", times=3)
    start = time.monotonic()
    with pytest.raises(GraftError, match=r"no answer within 0\.2 s"):
        client.runs("x", 5)
    assert time.monotonic() - start < 5


def test_nobody_listens(server, monkeypatch):
    with KfpServer() as gone:
        host = gone.host
    client = PipelinesClient(ServerOptions(host=host), lambda seconds: None)
    with pytest.raises(
        GraftError, match=rf"{host}: could not list the runs: it cannot be reached \(Connection refused\)"
    ):
        client.runs("x", 5)
    with pytest.raises(GraftError, match="cannot be reached"):  # nothing was sent, so it is no riddle
        client.create_run(a_run("x"))


def test_a_host_without_an_address():
    client = PipelinesClient(ServerOptions(host="http://nowhere.invalid"), lambda seconds: None)
    with pytest.raises(GraftError, match=r"it cannot be reached .*check kubeflow\.server\.host"):
        client.runs("x", 5)


def test_a_server_that_speaks_no_tls(server):
    client = PipelinesClient(ServerOptions(host=server.host.replace("http:", "https:")), lambda seconds: None)
    with pytest.raises(GraftError, match=r"no secure connection.* kubeflow\.server\.ca_file"):
        client.runs("x", 5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Key and certificate of 127.0.0.1 that nobody else vouches for."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubeflow.example")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
    made = made.not_valid_after(now + datetime.timedelta(hours=1)).add_extension(here, critical=False)
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.sign(key, hashes.SHA256()).public_bytes(pem))
    return path


def test_certificates(certificate, monkeypatch, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with KfpServer(tls=context) as server:
        with pytest.raises(GraftError, match=r"no secure connection .*give .*kubeflow\.server\.ca_file"):
            client_of(server, monkeypatch).experiment("flowers", create=True)
        assert client_of(server, monkeypatch, ca_file=str(certificate)).experiment("flowers", create=True)
        (tmp_path / "empty.pem").touch()
        for path, reason in (("none.pem", "No such file"), ("empty.pem", "it holds no certificate in PEM")):
            with pytest.raises(GraftError, match=rf"kubeflow\.server\.ca_file: received .*{path}: {reason}"):
                client_of(server, monkeypatch, ca_file=str(tmp_path / path))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "the token is not accepted; get a new one"),
        (403, r"forbidden \(403: .*kubeflow\.server\.namespace"),
        (404, r"not found \(404: told to fail with 404\)"),
        (409, "it exists already"),
        ((400, "parameter x\nis wrong"), r"the server refuses the request \(400: parameter x is wrong\)"),
        (500, "the server failed .*deployment/ml-pipeline"),
        ("html", "answers with text/html, so it is not the Kubeflow Pipelines API or asks for a login first"),
        ("redirect", r"sends elsewhere \(302\), as a login page does"),
    ],
    ids=str,
)
def test_an_error_is_one_line_that_says_what_to_do(client, server, fault, message):
    server.fail("GET", "/runs", fault, times=3)
    with pytest.raises(GraftError, match=message) as refused:
        client.runs("x", 5)
    assert str(refused.value).startswith(f"{server.host}: could not list the runs: ")
    assert "\n" not in str(refused.value)


def test_a_redirect_is_not_followed_with_the_token(client, server):
    server.fail("GET", "/runs", "redirect")
    with pytest.raises(GraftError):
        client.runs("x", 5)
    assert [path for _, path in server.requests] == ["/apis/v2beta1/runs"]


def test_no_token_and_one_is_asked_for(server):
    client = PipelinesClient(ServerOptions(host=server.host), lambda seconds: None)
    with pytest.raises(GraftError, match=r"it asks for a token; give one by kubeflow\.server\.token_env or token_file"):
        client.runs("x", 5)


def test_the_token_is_nowhere_but_in_the_header(server, monkeypatch, caplog, capsys):
    """The server repeats it in its answer; this one is wrong by a letter."""
    caplog.set_level(logging.DEBUG)
    wrong = TOKEN + "x"
    client = client_of(server, monkeypatch, token=wrong)
    with pytest.raises(GraftError, match=r"received Bearer \*\*\*") as refused:
        client.runs("x", 5)
    shown = [str(refused.value), repr(refused.value), repr(client), repr(client.options), str(vars(client.options))]
    assert not [text for text in (*shown, caplog.text, *capsys.readouterr()) if TOKEN in text]


def test_home_is_left_alone(server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://elsewhere.invalid")
    client_of(server, monkeypatch).experiment("flowers", create=True)
    assert not list(tmp_path.iterdir())


def test_the_namespace_is_asked_for(server, monkeypatch):
    client = client_of(server, monkeypatch, namespace="team-a")
    identity = client.experiment("flowers", create=True)
    assert server.experiments[identity]["namespace"] == "team-a"


def test_the_schema_is_checked(server, client):
    """The fake refuses what the API does not know, or these tests would show nothing."""
    experiment = client.experiment("flowers", create=True)
    run = a_run(experiment)
    run.runtime_config = {"parameters": {}, "pipeline_rot": "minio://b/r"}
    with pytest.raises(GraftError, match="unknown field 'pipeline_rot' of V2beta1RuntimeConfig"):
        client.create_run(run)
    run.runtime_config = {"pipeline_root": 3}
    with pytest.raises(GraftError, match="3 is no str"):
        client.create_run(run)
    assert not server.runs


def test_a_log_is_text(client, server):
    experiment = client.experiment("flowers", create=True)
    run = client.create_run(a_run(experiment))
    server.logs["pod-1"] = "first\nsecond\n"
    assert client.log(run.run_id, "pod-1") == "first\nsecond\n"
    with pytest.raises(GraftError, match="Failed to read logs from pod pod-2"):
        client.log(run.run_id, "pod-2")


def test_a_host_is_needed():
    with pytest.raises(GraftError, match=r"kubeflow\.server\.host: none is given"):
        PipelinesClient(ServerOptions())
