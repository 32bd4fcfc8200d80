"""Texts as an input."""

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.inputs import make_input, text
from graft.models.inputs.base import Refused

TEXTS = text.Input(text.Options())


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (b"", "empty", "0 bytes"),
        (b" \n\t", "empty", "3 characters, all of them white space"),
        (b"caf\xe9", "not_utf8", "byte 3 is 0xe9"),
        (b"a\0b", "nul", "character 1 is NUL"),
        (b"x" * 11, "too_large", "11 bytes, at most 10 are read"),
    ],
)
def test_what_is_refused_and_why(content, reason, detail):
    with pytest.raises(Refused, match=detail) as refused:
        text.Input(text.Options(max_bytes=10)).admit(content)
    assert refused.value.reason == reason and reason in text.Input.REASONS


def test_facts_count_characters_and_words_not_bytes():
    facts = TEXTS.admit("Größe: 12 µm".encode())
    assert facts == {"characters": 12, "words": 3} and facts.keys() == TEXTS.FACTS.keys()
    assert TEXTS.verify([b"a", b"b"], [facts, facts]) == [b"a", b"b"]


def test_the_backbone_takes_the_strings_as_they_are():
    assert TEXTS.spec.shape.as_list() == [None] and TEXTS.spec.dtype == "string"
    assert TEXTS.prepare([b"one", b"two"]).numpy().tolist() == [b"one", b"two"]
    assert TEXTS.prepare(np.array([], object)).shape == [0], "n may be 0"
    assert not TEXTS.augments and TEXTS.probes([]).shape == [len(TEXTS.drawn())]


def test_settings_make_equal_inputs():
    assert make_input(text.Options()) == TEXTS and hash(make_input(text.Options())) == hash(TEXTS)
    assert text.Input(text.Options(max_bytes=10)) != TEXTS


def test_plain_form_tells_texts_apart_by_words_and_forgives_spelling():
    contents = [b"the parcel came late", b"late came the parcel", b"the parsel came late", b"green and small"]
    found = TEXTS.plain({"train": contents, "test": contents[:1]}, "negative_transfer")
    rows = found["train"]
    assert rows.dtype == np.float32 and rows.shape == (4, 2048)
    np.testing.assert_array_equal(rows[:1], found["test"])
    same_words, misspelled, other = rows[1:] @ rows[0]
    assert misspelled > 2 * other and same_words > 2 * other


def test_plain_form_refuses_what_memory_cannot_hold(monkeypatch):
    class Many:
        def __len__(self):
            return 10**12

        def __iter__(self):
            raise AssertionError("must not be read")

    with pytest.raises(GraftError, match="texts as bags of words"):
        TEXTS.plain({"train": Many()}, "negative_transfer")


def test_a_report_shows_the_beginning_in_one_line():
    assert TEXTS.preview(b"two\n\nlines ") == {"text": "two lines"}
    shown = TEXTS.preview(b"word " * 1000)["text"]
    assert len(shown) <= 200 and shown.endswith("…")


def test_a_client_sends_no_broken_text():
    assert TEXTS.sendable("ä".encode()) == "ä".encode()
    with pytest.raises(Refused, match="byte 0 is 0xff"):
        TEXTS.sendable(b"\xff")


def test_drawn_texts_may_enter():
    for content in TEXTS.drawn():
        TEXTS.admit(content)


def test_what_is_watched_of_a_text():
    learned = TEXTS.learned([b"The parcel came", b"the parcel went", b"the rest"])
    assert learned == {"vocabulary": ["parcel", "the"]}, "words of one text only are not kept"
    watch = TEXTS.watcher(learned)
    found = watch("The parcel, \u00fcber".encode())
    assert found.keys() == TEXTS.SIGNALS.keys()
    assert found == {
        **{"characters": 16, "words": 3, "unknown_words": 1 / 3, "non_ascii": 1 / 16, "empty": "no", "readable": "yes"}
    }
    assert TEXTS.watcher()(b"word")["unknown_words"] is None and watch(b"?!")["unknown_words"] is None


@pytest.mark.parametrize(("content", "reason", "empty"), [(b" ", "empty", "yes"), (b"\xff", "not_utf8", "no")])
def test_a_text_that_may_not_enter_is_unreadable(content, reason, empty):
    found = TEXTS.watcher({"vocabulary": ["a"]})(content)
    assert found == {**dict.fromkeys(TEXTS.SIGNALS), "empty": empty, "readable": "no"}
    assert TEXTS.violation(content) == reason


def test_the_vocabulary_is_bounded_and_does_not_depend_on_the_order():
    texts = [f"w{number % 7000} {'x' * 99}".encode() for number in range(14_000)]
    some = make_input(text.Options())
    some.LEARNS = len(texts)
    known = some.learned(texts)["vocabulary"]
    assert len(known) == 5000 and known == some.learned(texts[::-1])["vocabulary"] and "x" * 40 in known
