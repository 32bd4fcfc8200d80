"""What is asked of an object store, and that every wrong answer is one line that says what to do, without a secret."""

import hashlib
import os

import pytest
from s3_loopback import client, fresh_client

from graft.serving import s3_bucket
from graft.serving.pointer import StoreError, Unreachable
from graft.serving.s3_bucket import Bucket, Changed, parse_address
from graft.serving.store import open_store
from graft.serving.store_kind import Outrun


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def bucket(s3) -> Bucket:
    return Bucket(s3)


@pytest.fixture
def hasty(monkeypatch):
    """A client that is made anew and does not try long."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    with fresh_client():
        yield monkeypatch


def test_addresses():
    assert parse_address("s3://models/a/b-c/") == ("models", "a/b-c")
    assert parse_address("s3://models") == ("models", "")
    assert Bucket("s3://models/").address == "s3://models"
    assert Bucket("s3://models/").url("m/1") == "s3://models/m/1"
    for wrong in ("s3://", "s3:///a", "s3://A/b", "s3://ab", "s3://models/a//b", "s3://models/../b", "s3://models/a?b"):
        with pytest.raises(StoreError, match="allowed: s3://BUCKET/PREFIX"):
            parse_address(wrong)


def test_credentials_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL, AWS_PROFILE") as refused:
        open_store("s3://KEY:hunter2@models/store")
    assert "hunter2" not in str(refused.value) and "KEY" not in str(refused.value)


def test_a_write_under_a_condition(bucket):
    etag = bucket.swap("a", b"one", None)
    with pytest.raises(Outrun):
        bucket.swap("a", b"two", None)
    newer = bucket.swap("a", b"two", etag)
    with pytest.raises(Outrun):
        bucket.swap("a", b"three", etag)
    with pytest.raises(Outrun):
        bucket.swap("b", b"three", etag)
    assert bucket.get("a", 10) == (b"two", newer) and bucket.etag("a") == newer and bucket.etag("b") is None


def test_a_write_whose_answer_was_lost_and_that_boto_repeats_has_been_done(bucket):
    first = bucket.swap("a", b"mine", None)
    assert bucket.swap("a", b"mine", None) == first
    bucket.swap("a", b"next", first)
    assert bucket.swap("a", b"next", first) == bucket.etag("a")


def test_many_objects_are_listed_in_pages(bucket, s3_server, monkeypatch):
    for number in range(25):
        client().put_object(Bucket=bucket.bucket, Key=f"{bucket.prefix}/m/{number:04}", Body=b"")
    real = Bucket._call
    monkeypatch.setattr(Bucket, "_call", lambda self, *asked, **more: real(self, *asked, **more, MaxKeys=10))
    s3_server.plain()
    assert [entry.key for entry in bucket.entries("m/")] == [f"m/{number:04}" for number in range(25)]
    assert s3_server.total == 3
    assert bucket.entries("n/") == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, (5 << 20), (5 << 20) + 1, (11 << 20) + 7])
@pytest.mark.parametrize("tells", [True, False])
def test_files_go_up_and_come_down_whole(bucket, s3_server, tmp_path, monkeypatch, size, tells):
    """In one piece or in parts; a server that says nothing of checksums is not believed: all is read back."""
    monkeypatch.setattr(s3_bucket, "PART_BYTES", 5 << 20)
    s3_server.tells_checksums = tells
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    s3_server.asked.clear()
    bucket.upload("a", tmp_path / "file", size, sha256(content))
    assert s3_server.asked["PUT"] == max(1, -(-size // (5 << 20)))
    assert s3_server.asked["GET"] == (0 if tells else 1)
    bucket.download("a", tmp_path / "copy", size, sha256(content))
    assert (tmp_path / "copy").read_bytes() == content
    assert list(bucket.uploads()) == []


@pytest.mark.parametrize("size", [100, 6 << 20])
def test_a_file_that_is_not_as_announced_is_not_stored(bucket, tmp_path, monkeypatch, size):
    monkeypatch.setattr(s3_bucket, "PART_BYTES", 5 << 20)
    (tmp_path / "file").write_bytes(bytes(size))
    with pytest.raises(Changed):
        bucket.upload("a", tmp_path / "file", size, sha256(b"other"))
    assert bucket.etag("a") is None and list(bucket.uploads()) == []


def test_bytes_that_change_on_the_way_up_are_refused(bucket, tmp_path, monkeypatch):
    """A checksum that does not fit the body; and a server that stores other bytes and says nothing."""
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(s3_bucket, "_b64", lambda digest: "A" * 43 + "=")
    with pytest.raises(StoreError, match="BadDigest"):
        bucket.upload("a", tmp_path / "file", 7, sha256(b"content"))
    monkeypatch.undo()
    monkeypatch.setattr(bucket, "_put", lambda key, content: Bucket._put(bucket, key, content + b"!") and {})
    with pytest.raises(StoreError, match="read back with other bytes"):
        bucket.upload("a", tmp_path / "file", 7, sha256(b"content"))


def test_an_answer_that_breaks_off_is_asked_for_again(bucket, s3_server, tmp_path):
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    bucket.upload("a", tmp_path / "file", len(content), sha256(content))
    s3_server.cut = [0, 1 << 20]
    bucket.download("a", tmp_path / "copy", len(content), sha256(content))
    assert (tmp_path / "copy").read_bytes() == content
    s3_server.cut = [1, 2, 3]
    with pytest.raises(Unreachable, match=r"/a: the answer of 127\.0\.0\.1:\d+ broke off several times"):
        bucket.download("a", tmp_path / "copy2", len(content), sha256(content))
    with pytest.raises(Changed):
        bucket.download("a", tmp_path / "copy3", len(content), sha256(b""))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", r"ListObjectsV2 is denied \(AccessDenied\); docs/serving\.md lists what"),
        (403, "InvalidAccessKeyId", r"does not take the credentials \(InvalidAccessKeyId\); renew or correct them"),
        (403, "SignatureDoesNotMatch", "does not take the credentials"),
        (503, "SlowDown", r"is still too busy \(SlowDown\); try again later"),
        (301, "PermanentRedirect", r"another region \(PermanentRedirect\); set AWS_REGION"),
        (404, "NoSuchBucket", r"no bucket 'bucket-\d+' at 127\.0\.0\.1:\d+; make it, or correct the address"),
        (418, "Teapot", r"ListObjectsV2 failed: Teapot \(HTTP 418\): Teapot was asked for; ask who runs"),
    ],
)
def test_what_the_server_says_is_one_line(s3, s3_server, hasty, status, code, words):
    s3_server.fault = lambda method, path: (status, code) if method == "GET" else None
    with pytest.raises(StoreError, match=words) as told:
        open_store(s3).models()
    assert str(told.value).startswith(f"{s3}: ") and "\n" not in str(told.value)
    assert "not-a-secret" not in str(told.value) and "loopback" not in str(told.value)


@pytest.mark.slow
def test_a_server_that_is_busy_for_a_moment_is_asked_again(bucket, s3_server, hasty):
    answers = iter([(503, "SlowDown")])
    s3_server.fault = lambda method, path: next(answers, None)
    bucket.swap("a", b"one", None)
    assert bucket.get("a", 10)[0] == b"one"


def test_a_bucket_that_is_not_there(s3):
    with pytest.raises(Unreachable, match="no bucket 'nobody-has-this'"):
        open_store("s3://nobody-has-this/store").models()


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://somebody:hunter2@127.0.0.1:1"])
def test_nobody_listens(s3, hasty, endpoint, exports):
    hasty.setenv("AWS_ENDPOINT_URL", endpoint)
    words = r"no connection to 127\.0\.0\.1:1 \(EndpointConnectionError\); check the network and AWS_ENDPOINT_URL"
    for ask in (lambda: open_store(s3).models(), lambda: open_store(s3).push("m", exports[0], {})):
        with pytest.raises(StoreError, match=words) as told:
            ask()
        assert "hunter2" not in str(told.value) and "\n" not in str(told.value)


def test_an_endpoint_that_is_no_address(s3, hasty):
    hasty.setenv("AWS_ENDPOINT_URL", "not an address hunter2")
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is no address of a server") as told:
        open_store(s3).models()
    assert "hunter2" not in str(told.value)


def test_no_credentials(s3, hasty):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        hasty.delenv(name)
    with pytest.raises(StoreError, match="no credentials for S3 were found; set AWS_PROFILE"):
        open_store(s3).models()


def test_a_profile_that_is_not_there(s3, hasty):
    hasty.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError, match=f"{s3}: no credentials for S3 were found"):
        open_store(s3).models()


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_store_that_takes_no_notice_of_conditions_is_refused_before_anything_is_written(
    s3, s3_server, exports, header
):
    s3_server.ignores = (header,)
    with pytest.raises(StoreError, match=rf"does not keep to the conditions of a write \({header}\), so two writers"):
        open_store(s3).push("m", exports[0], {})
    assert [entry.key for entry in Bucket(s3).entries()] == [".probe"]


def test_a_store_that_does_not_know_conditions_is_refused(s3, s3_server, exports):
    s3_server.fault = lambda method, path: (501, "NotImplemented") if method == "PUT" else None
    with pytest.raises(StoreError, match=r"does not keep to the conditions of a write \(NotImplemented\)"):
        open_store(s3).push("m", exports[0], {})


def test_a_local_store_does_not_import_boto(tmp_path):
    import subprocess
    import sys

    program = "import sys; from graft.serving.store import open_store; open_store('x'); print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"
