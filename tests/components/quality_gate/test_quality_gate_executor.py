"""What the quality gate tells the push of the best version so far."""

import pytest

from graft.components.quality_gate.executor import still_best


def rival(gap: float | None) -> dict:
    return {"version": 3, "examples": 0 if gap is None else 50, "gap": gap}


@pytest.mark.parametrize(
    ("best", "version"),
    [(None, 0), (rival(0.02), 3), (rival(0.0), 0), (rival(-0.02), 0), (rival(None), 0)],
    ids=["nothing served", "still better", "a tie", "the candidate is better", "nothing in common"],
)
def test_the_best_version_so_far(best, version):
    assert still_best(best) == version
