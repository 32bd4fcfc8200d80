"""Addresses that gRPC takes, and those that it would try in vain."""

import pytest

from graft.serving import address


@pytest.mark.parametrize("given", ["localhost:8500", "[::1]:1", "h:65535", "unix:/tmp/socket", "dns:///h:1", "xds:h"])
def test_what_grpc_takes(given):
    assert address.fault_of(given) == ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("http://h:8501", "gRPC takes no URL; give HOST:PORT with the gRPC port"),
        ("HTTPS://h", "gRPC takes no URL"),
        ("localhost", "received the port ''; give HOST:PORT, PORT from 1 to 65535"),
        ("h:0", "received the port '0'"),
        ("h:65536", "received the port '65536'"),
        ("h:grpc", "received the port 'grpc'"),
    ],
)
def test_what_it_would_try_in_vain(given, told):
    assert address.fault_of(given).startswith(f"{given}: {told}")


def test_advice_is_by_what_is_said():
    assert address.advice_on("Trying to connect an http1.x server").startswith("this port speaks HTTP")
    assert address.advice_on("something else") == ""
