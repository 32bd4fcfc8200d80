"""What a history keeps of a training."""

import dataclasses
import json

from graft.models.history import Finding, History


def test_findings_come_back_from_json_as_they_were():
    history = History(findings=[Finding("effective sample size", 12.5, "So few rows count.")])
    stored = json.loads(json.dumps(dataclasses.asdict(history)))
    assert History(**stored) == history
    del stored["findings"]
    assert History(**stored).findings == []
