"""The budget of bytes that all requests share."""

import pytest

from graft.models.errors import GraftError
from graft.serving.limits import ByteBudget, Limits
from graft.serving.server import EmbeddedServer, ServerError


def test_claims_share_the_budget_and_give_back_once():
    budget = ByteBudget(1000)
    first, second = budget.claim(), budget.claim()
    assert first.grow(600) and not second.grow(500) and second.grow(400)
    assert budget.held == 1000
    assert not budget.fits(1)
    first.release()
    first.release()
    assert budget.held == 400 and budget.fits(600)
    assert not first.grow(1), "what was given back is not taken again"


def test_large_bodies_leave_a_quarter_to_the_small_ones():
    budget = ByteBudget(8 << 20)
    large, small = budget.claim(), budget.claim()
    assert large.grow(6 << 20) and not large.grow(1)
    assert not budget.fits(2 << 20) and budget.fits(1 << 20)
    assert small.grow(1 << 20) and not small.grow(1), "it is a large one from there on"


def test_a_request_of_the_largest_size_must_fit(models):
    with pytest.raises(ServerError, match=r"limits.pending_bytes is 268435456; .* it must be at least 357913942"):
        EmbeddedServer(models={"m": models["half_plus_two"]}, max_message_bytes=1 << 28)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(GraftError, match=r"limits\.connections is 0; it must be more than 0"):
        Limits(connections=0)
