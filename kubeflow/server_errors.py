"""What may go wrong between a command and the Kubeflow Pipelines API, in one line that says what to do."""

import json
import re
from typing import Any

import kfp_server_api
import urllib3.exceptions as transport

from graft.models.errors import GraftError, one_line

_NUMBER = re.compile(r"\[Errno -?\d+\] ([^)\]'\"]+)")
NOT_FOUND, CONFLICT = 404, 409
PASSING = (429, 502, 503, 504)
"""Statuses of a server, or of a proxy before it, that is there and may answer later."""


class ServerError(GraftError):
    """The server refused, or gave no answer.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        sent: whether the server may have got the request, and done what it asks.
    """

    def __init__(self, message: str, status: int = 0, sent: bool = True):
        super().__init__(message)
        self.status = status
        self.sent = sent

    @property
    def unknown(self) -> bool:
        """Whether what was asked for may have been done all the same."""
        return self.sent and (self.status == 0 or self.status >= 500)

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed soon."""
        return self.status == 0 or self.status in PASSING


def told(error: BaseException, host: str, tried: str, timeout: float, token: str | None) -> ServerError | None:
    """An error of the client library as one line; None if it is none of a request.

    Args:
        error: what the library raised.
        host: address of the API.
        tried: what the request was for, `list the runs`.
        timeout: seconds that the answer could take.
        token: is struck out wherever the server's words repeat it.
    """
    # kfp-server-api decodes the body of an answer even where there was none, and so hides its own error.
    if isinstance(error, (AttributeError, UnicodeDecodeError)) and isinstance(
        error.__context__, kfp_server_api.ApiException
    ):
        error = error.__context__
    if isinstance(error, kfp_server_api.ApiException):
        message, sent = _answered(error, token), True
        status = error.status or 0
    elif isinstance(error, transport.HTTPError):
        message, sent = _unanswered(error, timeout)
        status = 0
    else:
        return None
    words = f"{host}: could not {tried}: {message}"
    return ServerError(words.replace(token, "***") if token else words, status, sent)


def _answered(error: Any, token: str | None) -> str:
    status, said = error.status or 0, _said(error)
    if status == 0:
        return f"no secure connection ({said}); give the certificate it is checked with as kubeflow.server.ca_file"
    if 300 <= status < 400:
        return (
            f"it sends elsewhere ({status}), as a login page does; give the address of the API, and a token by "
            "kubeflow.server.token_env or token_file"
        )
    if status == 401:
        advice = (
            "the token is not accepted; get a new one, it may have run out"
            if token
            else "it asks for a token; give one by kubeflow.server.token_env or token_file"
        )
        return f"{advice} (401: {said})"
    if status == 403:
        return (
            f"forbidden (403: {said}); ask for the right in that namespace, or set kubeflow.server.namespace to one "
            "where you have it"
        )
    if status == NOT_FOUND:
        return f"not found (404: {said}); check the name, kubeflow.server.host with its path, and the namespace"
    if status == CONFLICT:
        return f"it exists already (409: {said}); give another name"
    if status in PASSING:
        return f"it is not ready ({status}: {said}); try again in a while"
    if status < 500:
        return f"the server refuses the request ({status}: {said})"
    return f"the server failed ({status}: {said}); its log says more: kubectl logs -n kubeflow deployment/ml-pipeline"


def _unanswered(error: transport.HTTPError, timeout: float) -> tuple[str, bool]:
    """Words, and whether the request may have arrived."""
    if isinstance(error, (transport.NewConnectionError, transport.ConnectTimeoutError)):
        number = _NUMBER.search(str(error))
        reason = number[1] if number else "no answer"
        return (
            f"it cannot be reached ({reason}); check kubeflow.server.host, or start kubectl port-forward -n kubeflow "
            "svc/ml-pipeline 8888:8888",
            False,
        )
    if isinstance(error, transport.SSLError):
        return f"no secure connection ({one_line(error)}); give its certificate as kubeflow.server.ca_file", False
    if isinstance(error, transport.TimeoutError):
        return f"no answer within {timeout:g} s; try again, or raise kubeflow.server.timeout", True
    if isinstance(error, transport.LocationValueError):
        return f"{one_line(error)}; check kubeflow.server.host", False
    return f"the connection broke ({one_line(error)}); try again", True


def _said(error: Any) -> str:
    """The server's own words: the message in its JSON, else the start of its answer, else the reason of HTTP."""
    try:
        body = json.loads(error.body or "")
    except ValueError:
        body = None
    if isinstance(body, dict):
        for key in ("message", "error_message", "error"):
            if isinstance(body.get(key), str) and body[key]:
                return " ".join(body[key].split())[:300]
    text = "" if body is not None or "<" in (error.body or "<")[:200] else str(error.body)
    return " ".join((text or str(error.reason or "no reason given")).split())[:300]
