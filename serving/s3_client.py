"""The client of boto3 for object stores, and what its errors mean.

Endpoint, region and credentials come from where the AWS tools look (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE,
AWS_ACCESS_KEY_ID, files, roles), never from a configuration, and are in no message.
"""

import contextlib
import functools
import os
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from graft.models.errors import one_line
from graft.serving.pointer import Unreachable
from graft.serving.store_kind import Outrun

_CONNECT_S, _ANSWER_S, _ATTEMPTS = 5.0, 60.0, 5
_MAKING = threading.Lock()
_DENIED = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"}
_WHO = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_OUTRUN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_BUSY = {"SlowDown", "503", "ServiceUnavailable", "Busy", "RequestLimitExceeded", "TooManyRequests", "Throttling"}
_ELSEWHERE = {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


class Unconditional(Unreachable):
    """The server does not know what it was asked for."""


def client() -> Any:
    """One client a process; clients of boto3 may be shared between threads, but not made by two at once."""
    with _MAKING:
        return make_client()


@functools.cache
def make_client() -> Any:
    """The client, made by what the environment says at the first call."""
    import boto3
    from botocore.config import Config

    retries: dict[str, Any] = {"mode": os.environ.get("AWS_RETRY_MODE", "standard")}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _ATTEMPTS
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries=retries,
        # boto's own checksums (a CRC in a trailer) are unknown to older stores; sha256 is sent and compared here.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=config)


def endpoint() -> str:
    """Where requests go, without what may stand before an @."""
    try:
        parts = urllib.parse.urlsplit(client().meta.endpoint_url)
        return parts.netloc.rpartition("@")[2]
    except Exception:  # whatever kept the client from being made is told already
        return "S3"


@contextlib.contextmanager
def asking(operation: str, place: str, bucket: str, again: bool = False) -> Iterator[None]:
    """Says in one line what an error of boto means.

    Args:
        operation: what is asked.
        place: address of what it is asked about.
        bucket: its bucket.
        again: it will be asked again: an answer that breaks off in the middle is no error yet.

    Raises:
        FileNotFoundError: there is no such object.
        Outrun: the condition of a write does not hold.
        Unreachable: any other; the line names the place and what to do, and holds no credentials.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _meant(error.response, operation, place, bucket) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound):
        raise Unreachable(
            f"{place}: no credentials for S3 were found; set AWS_PROFILE, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give the machine a role"
        ) from None
    except (exceptions.IncompleteReadError, exceptions.ResponseStreamingError) as error:
        if not again:
            raise Unreachable(f"{place}: the answer of {endpoint()} broke off several times") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        if again and isinstance(error, exceptions.ReadTimeoutError):
            return
        # Its text would name the endpoint with whatever stands before an @ in it.
        raise Unreachable(
            f"{place}: no connection to {endpoint()} ({type(error).__name__}); check the network and "
            "AWS_ENDPOINT_URL, or try again later"
        ) from None
    except exceptions.BotoCoreError as error:
        raise Unreachable(
            f"{place}: {operation} could not be asked ({type(error).__name__}); check AWS_PROFILE, AWS_REGION and "
            "the files they name"
        ) from None
    except ValueError as error:
        if "endpoint" in str(error).lower():
            raise Unreachable(
                f"{place}: AWS_ENDPOINT_URL is no address of a server; allowed: http(s)://HOST:PORT"
            ) from None
        raise


def _meant(answer: dict[str, Any], operation: str, place: str, bucket: str) -> Exception:
    code = str(answer.get("Error", {}).get("Code", "?"))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        return FileNotFoundError(place)
    if code in _OUTRUN:
        return Outrun(place)
    if code == "NoSuchBucket":
        return Unreachable(f"{place}: no bucket {bucket!r} at {endpoint()}; make it, or correct the address")
    if code in _DENIED:
        return Unreachable(
            f"{place}: {operation} is denied ({code}); docs/serving.md lists what the credentials must allow"
        )
    if code in _WHO:
        return Unreachable(f"{place}: {endpoint()} does not take the credentials ({code}); renew or correct them")
    if code in _BUSY or status == 503:
        return Unreachable(f"{place}: {operation}: {endpoint()} is still too busy ({code}); try again later")
    if code in _ELSEWHERE or status == 301:
        return Unreachable(f"{place}: the bucket lies in another region ({code}); set AWS_REGION to it")
    if code == "NotImplemented" or status == 501:
        return Unconditional(f"{place}: {endpoint()} cannot do {operation} as it is asked (NotImplemented)")
    message = one_line(Exception(answer.get("Error", {}).get("Message", "")), 200)
    return Unreachable(f"{place}: {operation} failed: {code} (HTTP {status}): {message}; ask who runs that store")
