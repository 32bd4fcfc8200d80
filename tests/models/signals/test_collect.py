"""A reference is made of what passed by, of any kind of input and target."""

import numpy as np
import pytest

from graft.models.inputs import base, make_input, parse_options, text
from graft.models.signals.collect import Collector
from graft.models.signals.reference import Reference
from graft.models.targets import label, make_target, numbers

TEXTS = text.Input(text.Options())
LABEL = make_target(label.Options(), ["no", "yes"])
FACTS = {"characters": 10, "words": 2}


def test_a_text_is_held_against_what_was_learned():
    seen = Collector(TEXTS, TEXTS.learned([b"known word"] * 2))
    for content in (b"known word", b"strange word"):
        seen.see(content, FACTS)
    held = seen.reference(LABEL, np.array([0, 1]), np.float32([[1, 0], [0, 1]]), {"split": "test"})
    assert held.counts["unknown_words"] == held.signals["unknown_words"].counts([0.0, 0.5])
    assert held.signals["readable"].values == ("yes", "no") and held.counts["readable"] == (2, 0, 0, 0)
    assert held.signals["predicted"].values == ("no", "yes"), "all classes, in the model's order"
    assert held.group["words"] == "input" and held.group["predicted"] == "prediction"
    assert held.facts["words"] == {"type": "number", "least": 2, "most": 2}
    again = Reference.parse(held.encode(), "x")
    assert again == held and again.watcher()(b"strange word")["unknown_words"] == 0.5


def test_costly_examples_are_fewer(monkeypatch):
    monkeypatch.setattr("graft.models.signals.collect.CALLS", 2)
    monkeypatch.setattr(text.Input, "BATCH_COST", 10)
    seen = Collector(TEXTS, {})
    for _ in range(5):
        seen.see(b"ten signs.", FACTS)
    assert seen.reference(LABEL, np.zeros(5, int), np.float32([[1, 0]] * 5), {}).rows == 2


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_kind_without_signals_of_its_own_is_watched_too(kind, monkeypatch):
    plain = make_input(parse_options({"kind": kind}))
    for name in ("SIGNALS", "watcher", "learned", "LEARNS"):
        monkeypatch.setattr(type(plain), name, getattr(base.Input, name))
    assert plain.watcher()(b"") == {"bytes": 0, "readable": "no"}
    seen = Collector(plain, plain.learned([]))
    seen.see(plain.drawn()[0], dict.fromkeys(plain.FACTS, 1))
    values = make_target(numbers.Options(columns=("x",)), ["x"], {"mean": [0.0], "std": [1.0]})
    held = seen.reference(values, np.float32([[2]]), np.float32([[3]]), {})
    assert held.counts["readable"] == (1, 0, 0, 0) and set(held.signals) == {"bytes", "readable", "value x"}
    assert held.quality["by"] is None and held.quality["mean"] == -1


def test_without_an_example_there_is_a_reference_of_none():
    held = Collector(TEXTS, {}).reference(LABEL, np.zeros(0, int), np.zeros((0, 2), np.float32), {})
    assert held.rows == 0 and held.quality["mean"] is None and Reference.parse(held.encode(), "x") == held
