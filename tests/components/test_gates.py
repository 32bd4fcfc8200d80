"""Gates: what the message says, and that the file can be read back."""

import pytest

from graft.components import gates
from graft.models.errors import GraftError

OPEN = gates.Gate("accuracy", 0.8, 0.7, True)
CLOSED = gates.Gate("macro_f1", 0.61234, 0.7, False, "worst class glass")
UNMEASURED = gates.Gate("latency_ms", None, 50.0, False)


def test_open_gates_let_the_run_go_on():
    gates.check("quality_gate", [OPEN])


def test_closed_gate_names_value_limit_and_detail():
    with pytest.raises(gates.GateClosed) as closed:
        gates.check("quality_gate", [OPEN, CLOSED, UNMEASURED])
    assert str(closed.value) == (
        "quality_gate: gate closed: macro_f1 is 0.61234, limit 0.7 (worst class glass); "
        "latency_ms is not measured, limit 50"
    )
    assert isinstance(closed.value, GraftError)
    assert closed.value.stage == "quality_gate" and closed.value.gates == (OPEN, CLOSED, UNMEASURED)


def test_lists_of_gates_begin_with_the_verdict():
    assert OPEN.line == "open    accuracy is 0.8, limit 0.7"
    assert CLOSED.line == "CLOSED  macro_f1 is 0.61234, limit 0.7 (worst class glass)"


def test_round_trip(tmp_path):
    gates.write_gates(str(tmp_path / "blessing"), [OPEN, UNMEASURED])
    assert gates.read_gates(str(tmp_path / "blessing")) == [OPEN, UNMEASURED]
