"""The server of a check: the embedded one, and a tensorflow_model_server on the PATH that does not come up."""

import os

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.serving.candidate import candidate_server
from graft.serving.client import Client


def test_the_embedded_server_answers(models):
    with candidate_server("line", models["half_plus_two"]) as server:
        assert server.kind == "embedded server"
        with Client(server.grpc_address, "line") as client:
            assert client.predict({"x": np.float32([2.0])})["y"].tolist() == [3.0]


def test_a_real_server_that_does_not_start_is_quoted(models, tmp_path, monkeypatch):
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text("#!/bin/sh\necho no such port >&2\nexit 7\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        pytest.raises(GraftError, match=r"does not serve line at .* \(exit 7\): no such port"),
        candidate_server("line", models["half_plus_two"]),
    ):
        pass
