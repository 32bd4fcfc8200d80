"""A command without a run of its own, stopped by a gate."""

import argparse
import json

import pytest

from graft.components.gates import GateClosed
from graft.models.gates import Gate
from graft.pipeline.output import until_a_gate


@pytest.mark.parametrize("as_json", [False, True])
def test_a_closed_gate_is_told_and_is_exit_code_1(capsys, as_json):
    gate = Gate(name="max_rejected", value=0.5, limit=0.01, passed=False)

    def command(args, end):
        raise GateClosed("data_gate", [gate])

    assert until_a_gate(argparse.Namespace(json=as_json, process=False), command) == 1
    said = capsys.readouterr()
    assert "max_rejected is 0.5" in said.err and said.err.startswith("graft: ")
    assert not as_json or json.loads(said.out)["status"] == "gate_closed"
