"""Contents on their way through the input, whatever it is."""

import hashlib

import pytest

from graft.components.ingest import verify
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import About, Item
from graft.models.inputs.base import Refused


class Numbers:
    """An input of numbers in digits, which cost what they are."""

    BATCH_COST = 100

    def admit(self, content):
        if not content.isdigit():
            raise Refused("corrupt", f"{content!r} is no number")
        return {"value": int(content)}

    def cost(self, facts):
        return facts["value"]

    def verify(self, contents, facts):
        return [b"<%s>" % one if one != b"13" else Refused("unlucky", "13") for one in contents]


def items(*contents):
    return [Item(str(number), About(("a",)), content) for number, content in enumerate(contents)]


def test_what_the_source_could_not_read_keeps_its_reason():
    item = Item("a", About(refused=("bad_split", "x")), reason=Reason.UNREADABLE, detail="gone")
    with pytest.raises(Refused, match="gone") as refused:
        verify.admit(item, Numbers())
    assert refused.value.reason == "unreadable"


def test_the_content_is_looked_at_before_what_is_said_of_it():
    with pytest.raises(Refused, match="no number"):
        verify.admit(Item("a", About(refused=("bad_split", "x")), b"x"), Numbers())
    with pytest.raises(Refused, match="x") as refused:
        verify.admit(Item("a", About(refused=("bad_split", "x")), b"1"), Numbers())
    assert refused.value.reason == "bad_split"


def test_batches_are_bounded_by_cost_and_number():
    refused = []
    found = verify.batches(items(b"60", b"30", b"20", b"x", b"500", b"1"), Numbers(), lambda *one: refused.append(one))
    assert [[item.content for item, _ in batch] for batch in found] == [[b"60", b"30"], [b"20"], [b"500"], [b"1"]]
    assert [(item.file, why.reason) for item, why in refused] == [("3", "corrupt")]
    many = [len(batch) for batch in verify.batches(items(*[b"0"] * 150), Numbers(), None)]
    assert many == [64, 64, 22]


def test_answers_come_in_order():
    batches = [[(item, {})] for item in items(*(b"%d" % number for number in range(30)))]
    answers = list(verify.verify_ahead(iter(batches), Numbers()))
    assert [batch[0][0].file for batch, _ in answers] == [str(number) for number in range(30)]
    contents = [answer.content for _, [answer] in answers]
    told = [one if isinstance(one, bytes) else one.reason for one in contents]
    assert told == [b"<%d>" % number if number != 13 else "unlucky" for number in range(30)]
    assert answers[7][1][0].digest == hashlib.sha256(b"7").digest()  # of what came, not of what is stored
