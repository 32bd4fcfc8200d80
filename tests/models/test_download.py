"""Downloads come whole, within bounds and from where they were asked for, or not at all."""

import gzip
import hashlib
import http.server
import io
import os
import pathlib
import tarfile
import threading
import time
from collections.abc import Callable

import pytest
import tensorflow as tf

from graft.models import download
from graft.models.download import fetch
from graft.models.errors import GraftError


def tar(*members: tuple[tarfile.TarInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


MODEL = ("saved_model.pb", b"graph")


@pytest.fixture
def serve():
    """serve(answer) -> address of a loopback server that answers each request with `answer(handler)`."""
    servers = []

    def start(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/model/1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def content(body: bytes, length: int | None = None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def left(cache: pathlib.Path) -> list[str]:
    """What a failed download left, but for the empty file of the lock."""
    return [path.name for path in cache.rglob("*") if path.suffix != ".lock"]


def test_an_archive_is_fetched_once(serve, cache):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        content(tar(MODEL, ("variables/variables.index", b"index")))(handler)

    address = serve(answer)
    folder = fetch(address, allow_http=True)
    assert (folder / "saved_model.pb").read_bytes() == b"graph"
    assert (folder / "variables" / "variables.index").read_bytes() == b"index"
    assert fetch(address, allow_http=True) == folder
    assert asked == ["/model/1?tf-hub-format=compressed"]
    assert folder.name == hashlib.sha1(address.encode()).hexdigest()  # where tensorflow_hub keeps it


def test_large_files_come_whole(serve, cache):
    weights = os.urandom(5_000_001)
    folder = fetch(serve(content(tar(MODEL, ("variables/data", weights)))), allow_http=True)
    assert (folder / "variables" / "data").read_bytes() == weights


def test_a_cache_that_is_only_read_is_used(serve, cache, monkeypatch):
    address = serve(content(tar(MODEL)))
    folder = fetch(address, allow_http=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(download.durable, "locked", None)  # as root the tests may write anywhere
    assert fetch(address, allow_http=True) == folder


def test_http_needs_a_word(serve, cache):
    asked = []
    address = serve(asked.append)
    with pytest.raises(GraftError, match=r"is not https: .*backbone\.allow_http: true with backbone\.sha256"):
        fetch(address)
    assert not asked


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_to_another_kind_of_address_is_refused(serve, cache, target):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    with pytest.raises(GraftError, match=r"cannot be downloaded: (it leads to|.*Redirection to url) .*(allowed)"):
        fetch(serve(answer), allow_http=True)
    assert left(cache) == []


def test_a_redirect_from_https_to_http_is_refused():
    handler = download._Redirects(allow_http=False)
    with pytest.raises(ValueError, match=r"it leads to 'http://b/'; allowed: https"):
        handler.redirect_request(None, None, 302, "", {}, "http://b/")


def test_a_proxy_is_used(serve, monkeypatch):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        content(tar(MODEL))(handler)

    monkeypatch.setenv("http_proxy", serve(answer))
    monkeypatch.setenv("no_proxy", "")
    fetch("http://example.invalid/model/1", allow_http=True)
    assert asked == ["http://example.invalid/model/1?tf-hub-format=compressed"]


def test_a_server_that_is_silent_is_given_up(serve, cache, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_S", 0.2)
    end = threading.Event()
    with pytest.raises(GraftError, match=r"cannot be downloaded: .*timed out"):
        fetch(serve(lambda _: end.wait(30)), allow_http=True)
    end.set()
    assert left(cache) == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["header", "body"])
def test_a_server_that_drips_is_given_up(serve, cache, monkeypatch, what):
    monkeypatch.setattr(download, "DOWNLOAD_S", 0.5)

    def answer(handler):
        if what == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000000")
            handler.end_headers()
        end = time.monotonic() + 30
        try:
            while time.monotonic() < end:
                handler.wfile.write(b"H")
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            return

    with pytest.raises(GraftError, match=r"cannot be downloaded: not done after 0\.5 s"):
        fetch(serve(answer), allow_http=True)
    assert left(cache) == []


def test_half_a_download_leaves_nothing(serve, cache):
    whole = tar(MODEL, ("variables/data", os.urandom(5000)))
    with pytest.raises(GraftError, match="cannot be downloaded"):
        fetch(serve(content(whole[:3000], len(whole))), allow_http=True)
    with pytest.raises(GraftError, match="cannot be downloaded"):  # whole for the protocol, half an archive
        fetch(serve(content(whole[:3000])), allow_http=True)
    assert left(cache) == []


def test_leftovers_of_a_killed_download_are_removed(serve, cache):
    address = serve(content(tar(MODEL)))
    name = hashlib.sha1(address.encode()).hexdigest()
    (cache / f"{name}.partial" / "module").mkdir(parents=True)
    cache.chmod(0o700)
    assert (fetch(address, allow_http=True) / "saved_model.pb").is_file()
    assert sorted(path.name for path in cache.iterdir()) == [name, f"{name}.lock"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([MODEL, ("../evil", b"x")], "a path that leads out of it"),
        ([MODEL, ("a/../../evil", b"x")], "a path that leads out of it"),
        ([MODEL, ("/evil", b"x")], "a path that leads out of it"),
        (
            [MODEL, (special("link", tarfile.SYMTYPE, "/etc"), b""), ("link/evil", b"x")],
            "neither a plain file nor a fol",
        ),
        ([MODEL, (special("link", tarfile.LNKTYPE, "/etc/passwd"), b"")], "neither a plain file nor a folder"),
        ([MODEL, (special("pipe", tarfile.FIFOTYPE), b"")], "neither a plain file nor a folder"),
        ([MODEL, (special("device", tarfile.CHRTYPE), b"")], "neither a plain file nor a folder"),
        ([MODEL, MODEL], "File exists"),
        ([("model/saved_model.pb", b"x")], r"holds no saved_model\.pb at its top"),
        ([], r"holds no saved_model\.pb at its top"),
    ],
)
def test_hostile_archives_are_refused(serve, cache, members, message):
    with pytest.raises(GraftError, match=f"cannot be downloaded: .*{message}"):
        fetch(serve(content(tar(*members))), allow_http=True)
    assert left(cache) == []
    assert not (cache.parent / "evil").exists() and not (cache / "evil").exists()


def test_what_is_no_archive_is_refused(serve, cache):
    for body in (b"<html>not found</html>", gzip.compress(b"no tar"), b"\x1f\x8bbroken", b""):
        with pytest.raises(GraftError, match="cannot be downloaded"):
            fetch(serve(content(body)), allow_http=True)
    assert left(cache) == []


def test_archives_that_are_too_large_are_refused(serve, cache, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    with pytest.raises(GraftError, match="it is larger than 100000 bytes"):
        fetch(serve(content(os.urandom(200_000))), allow_http=True)
    bomb = tar(MODEL, ("zeros", bytes(10_000_000)))
    assert len(bomb) < 100_000
    with pytest.raises(GraftError, match="its archive unpacks to more than 100000 bytes"):
        fetch(serve(content(bomb)), allow_http=True)
    monkeypatch.setattr(download, "MAX_FILES", 3)
    with pytest.raises(GraftError, match="or 3 files"):
        fetch(serve(content(tar(*((f"{n}", b"") for n in range(4))))), allow_http=True)
    assert left(cache) == []


def test_a_long_header_of_the_archive_is_not_read_into_memory(serve, cache):
    """tarfile reads an extended header at once, whatever its length: a gigabyte of zeros is a megabyte compressed."""
    header = special("x", tarfile.XHDTYPE)
    header.size = 50_000_000
    body = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(50_000_000))
    with pytest.raises(GraftError, match=r"its archive holds a header of \d+ bytes; allowed: 1048576"):
        fetch(serve(content(body)), allow_http=True)


def test_google_storage(tmp_path, monkeypatch):
    (tmp_path / "m.tar.gz").write_bytes(tar(MODEL))
    opened = tf.io.gfile.GFile
    monkeypatch.setattr(tf.io.gfile, "GFile", lambda name, mode: opened(name.replace("gs://b", str(tmp_path)), mode))
    assert (fetch("gs://b/m.tar.gz") / "saved_model.pb").read_bytes() == b"graph"
    with pytest.raises(GraftError, match="cannot be downloaded"):
        fetch("gs://b/other.tar.gz")
    with pytest.raises(GraftError, match="a gs:// address must be that of an archive"):
        fetch("gs://b/folder")
