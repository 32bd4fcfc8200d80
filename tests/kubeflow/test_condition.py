"""Conditions of tasks as KFP's compiler writes them, held against that compiler."""

import pytest
import yaml
from kfp import compiler, dsl

from graft.kubeflow.condition import Condition
from graft.models.errors import GraftError

VALUES = {"kind": "image", "rows": 120, "share": 0.5, "sure": True, "text": "12", "quote": "it's && so"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("inputs.parameter_values['kind'] == 'image'", True),
        ("inputs.parameter_values['kind'] != 'image'", False),
        ("int(inputs.parameter_values['rows']) >= 100 && inputs.parameter_values['share'] < 0.75", True),
        ("inputs.parameter_values['rows'] == 120", True),
        ("inputs.parameter_values['rows'] == 120.0 || inputs.parameter_values['kind'] == 'text'", True),
        ("inputs.parameter_values['sure'] == true", True),
        ("!(inputs.parameter_values['sure'] == true)", False),
        ("int(inputs.parameter_values['text']) > -1", True),
        ("string(inputs.parameter_values['rows']) == '120'", True),
        ('inputs.parameter_values["quote"] == "it\'s && so"', True),
        ("inputs.parameter_values['kind'] == '!a || b'", False),
        ("true", True),
    ],
)
def test_it_holds_or_not(text, holds):
    assert Condition(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs.parameter_values['rows'] == '120'", "compares 120.0 with '120', of another type"),
        ("inputs.parameter_values['kind']", "is 'image'; allowed: true or false"),
        ("!inputs.parameter_values['kind']", "is 'image'; allowed: true or false"),
        ("int(inputs.parameter_values['kind']) > 1", r"int\('image'\) is nothing"),
    ],
)
def test_what_has_no_answer_is_an_error(text, said):
    with pytest.raises(GraftError, match=said):
        Condition(text).holds(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "inputs.artifacts['model'].artifacts[0].uri == 'x'",
        "__import__('os').system('true') == 0",
        "inputs.parameter_values['a'].size() > 1",
        "1 < 2 < 3",
        "inputs.parameter_values[",
        "open('/etc/passwd') == 'x'",
        "[x for x in 'ab'] == 'a'",
    ],
)
def test_what_it_does_not_know_is_refused_before_anything_runs(text):
    with pytest.raises(GraftError, match="cannot be evaluated here; allowed: parameters of the task's inputs"):
        Condition(text)


def test_what_the_official_compiler_writes_is_understood(tmp_path):
    @dsl.component
    def work(word: str):
        print(word)

    @dsl.pipeline(name="p")
    def pipeline(kind: str = "image", rows: int = 3, sure: bool = True):
        with dsl.If(kind == "image"):
            work(word="a")
        with dsl.If(rows > 2):
            work(word="b")
        with dsl.If(sure == True):  # noqa: E712 - KFP's way
            work(word="c")
        with dsl.Else():
            work(word="d")

    compiler.Compiler().compile(pipeline, str(tmp_path / "p.yaml"))
    spec = yaml.safe_load((tmp_path / "p.yaml").read_text())
    found = {}

    def look(dag):
        for name, task in dag["tasks"].items():
            text = task.get("triggerPolicy", {}).get("condition")
            if text:
                condition = Condition(text)
                assert condition.parameters <= set(task["inputs"]["parameters"])
                values = {"kind": "image", "rows": 2, "sure": False}
                held = {key: values[key.rpartition("--")[2]] for key in condition.parameters}
                found[name] = condition.holds(held)
            component = spec["components"][task["componentRef"]["name"]]
            if "dag" in component:
                look(component["dag"])

    look(spec["root"]["dag"])
    assert sorted(found.values()) == [False, False, True, True], found
