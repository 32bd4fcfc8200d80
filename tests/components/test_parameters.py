"""Typed parameters survive TFX, which knows text and whole numbers only."""

import pydantic
import pytest
from tfx.types import component_spec

from graft.components.ingest.options import DataOptions
from graft.components.parameters import BaseParameters
from graft.models import inputs, targets
from graft.models.registry import only

Inputs, Targets = inputs.KINDS.union(), targets.KINDS.union()


class Parameters(BaseParameters):
    """One of each kind of field."""

    text: str
    whole: int
    flag: bool
    share: float
    limit: float | None = None
    names: tuple[str, ...] = ()
    data: DataOptions
    input: Inputs
    target: Targets


@pytest.fixture
def given() -> Parameters:
    """With values that are no defaults."""
    return Parameters(
        text='["no JSON"',
        whole=3,
        flag=True,
        share=0.25,
        names=["a", "ü"],
        data={"source": "csv", "path": "p", "schema": "s.pbtxt"},
        input={"kind": "text", "max_bytes": 9},
        target={"kind": "numbers", "columns": ["x"]},
        code="c",
    )


def test_what_is_loaded_is_what_was_dumped(given):
    assert Parameters.load(given.dump() | {"span": 3, "use_cache": True}) == given


def test_equal_values_are_one_cache_key(given):
    class Kept(BaseParameters):
        metadata: dict[str, int]

    assert Kept(metadata={"a": 1, "b": 2}).dump() == Kept(metadata={"b": 2, "a": 1}).dump()


def test_kubeflow_gives_whole_numbers_as_floats(given):
    floats = {name: float(value) if isinstance(value, int) else value for name, value in given.dump().items()}
    assert Parameters.load(floats) == given


def test_tfx_takes_what_is_declared(given):
    class Spec(component_spec.ComponentSpec):
        PARAMETERS = Parameters.declared()
        INPUTS: dict = {}
        OUTPUTS: dict = {}

    assert Spec(**given.dump()).exec_properties == given.dump()
    kinds = {name: parameter.type for name, parameter in Parameters.declared().items()}
    assert {name for name, kind in kinds.items() if kind is int} == {"whole", "flag"}
    with pytest.raises(TypeError, match="Expected type <class 'int'> for parameter 'whole'"):
        Spec(**given.dump() | {"whole": "3"})


def test_what_is_missing_or_of_another_type_is_refused(given):
    dumped = given.dump()
    with pytest.raises(pydantic.ValidationError, match="share"):
        Parameters.load({name: value for name, value in dumped.items() if name != "share"})
    with pytest.raises(pydantic.ValidationError, match="share"):
        Parameters.load(dumped | {"share": '"much"'})
    with pytest.raises(pydantic.ValidationError, match="other"):
        Parameters(**given.model_dump(), other=1)


def test_settings_that_a_stage_does_not_use_are_at_their_defaults():
    options = inputs.KINDS.options("image")(image_size=(32, 32), max_bytes=7)
    assert only(options, options.PREPARES) == inputs.KINDS.options("image")(image_size=(32, 32))
    assert only(options, options.ENTERS) == inputs.KINDS.options("image")(max_bytes=7)


@pytest.mark.parametrize("registry", [inputs.KINDS, targets.KINDS], ids=lambda registry: registry.key)
def test_every_kind_names_settings_that_it_has(registry):
    for kind in registry:
        options = registry.options(kind)
        named = {"ENTERS", "PREPARES", "TRAINS"} if registry is inputs.KINDS else {"PARSES"}
        assert all(getattr(options, name) <= options.model_fields.keys() for name in named), kind
