"""`run_fn` from Examples and features to an exported model."""

import json

from models import trainer


def test_frozen_run_writes_history_logs_and_export(training_input, tmp_path):
    args = training_input.fn_args(tmp_path)
    trainer.run_fn(args)
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert len(history["epochs"]) == 4
