"""An S3 on loopback: moto's server, with what it lacks of a real one, and faults on demand.

moto keeps to If-Match and If-None-Match of PutObject, but between looking and writing another thread may write; here
one request is answered at a time, so that a conditional write is one step, as S3 promises. moto does not compare the
x-amz-checksum-sha256 of a request with its body; here that is done.
"""

import base64
import collections
import contextlib
import hashlib
import io
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator

import pytest

Fault = Callable[[str, str], tuple[int, str] | None]
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "loopback",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_CHECKSUM = "HTTP_X_AMZ_CHECKSUM_SHA256"


class S3Server:
    """A running server; `url` is its address.

    Attributes:
        url: http://127.0.0.1:PORT.
        asked: number of requests by method, and by `method ?subresource`.
        fault: called with method and path; an answer (status, code) is given in place of the real one.
        ignores: headers of conditions that are taken no notice of, as a store does that does not know them.
        tells_checksums: whether answers to writes carry the checksum.
        cut: bytes of the next answers to GET after which the connection breaks; consumed one by one.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.plain()

    def plain(self) -> None:
        """No faults, and counts from 0."""
        self.asked: collections.Counter[str] = collections.Counter()
        self.fault: Fault = lambda method, path: None
        self.ignores: tuple[str, ...] = ()
        self.tells_checksums = True
        self.cut: list[int] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def total(self) -> int:
        """Requests since `plain`."""
        return self.asked["all"]

    def _answer(self, environ, start_response):
        with self._lock:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self.asked["all"] += 1
            self.asked[method] += 1
            if wrong := self.fault(method, path):
                return _error(start_response, *wrong)
            if method == "PUT":
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(body)
                sent = environ.get(_CHECKSUM)
                if sent and sent != base64.b64encode(hashlib.sha256(body).digest()).decode():
                    return _error(start_response, 400, "BadDigest")
            for header in self.ignores:
                environ.pop(f"HTTP_{header.upper().replace('-', '_')}", None)

            def respond(status, headers, *rest):
                if not self.tells_checksums:
                    headers = [pair for pair in headers if not pair[0].lower().startswith("x-amz-checksum")]
                return start_response(status, headers, *rest)

            content = b"".join(self._app(environ, respond))
            if method == "GET" and self.cut and "list-type" not in environ.get("QUERY_STRING", ""):
                # Shorter than the Content-Length that was said: the connection breaks in the middle.
                content = content[: self.cut.pop(0)]
            return [content]


def _error(start_response, status: int, code: str):
    start_response(f"{status} {code}", [("Content-Type", "application/xml")])
    return [f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} was asked for</Message></Error>".encode()]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server a session; what boto3 looks at in the environment leads to it."""
    from graft.serving.s3_client import make_client

    server = S3Server()
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**_ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}.items():
            environment.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_MAX_ATTEMPTS"):
            environment.delenv(name, raising=False)
        make_client.cache_clear()
        yield server
    make_client.cache_clear()
    server.stop()


_numbers = itertools.count(1)


@pytest.fixture
def s3(s3_server, tmp_path, monkeypatch) -> Iterator[str]:
    """Address of an empty place of a bucket of its own, with a cache of its own."""
    monkeypatch.setenv("GRAFT_STORE_CACHE", str(tmp_path / "store-cache"))
    s3_server.plain()
    bucket = f"bucket-{next(_numbers)}"
    client().create_bucket(Bucket=bucket)
    yield f"s3://{bucket}/models/store"
    s3_server.plain()


def client():
    """The client of boto3 that Graft uses."""
    from graft.serving.s3_client import make_client

    return make_client()


@contextlib.contextmanager
def fresh_client() -> Iterator[None]:
    """Inside, and afterwards, the client is made anew from the environment."""
    from graft.serving.s3_client import make_client

    make_client.cache_clear()
    try:
        yield
    finally:
        make_client.cache_clear()
