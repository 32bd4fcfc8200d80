"""Sections that packages above the pipeline bring: found by entry point, checked, and named where they are at fault."""

import foreign_package
import pydantic
import pytest

from graft.kubeflow.options import KubeflowOptions
from graft.models.entry_points import RegistrationError
from graft.pipeline import sections
from graft.pipeline.config_faults import explain


class Own(pydantic.BaseModel):
    """The pipeline's own keys."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: str = "x"


WATCH = """
    import pydantic

    class Options(pydantic.BaseModel):
        '''What watches.'''
        model_config = pydantic.ConfigDict(extra="forbid")
        every_s: int = pydantic.Field(60, ge=1, description="Seconds between two looks.")

    class Lax(pydantic.BaseModel):
        every_s: int = 60

    class Demanding(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid")
        address: str

    number = 3
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """The sections that are installed here do not count: the group has another name in these tests."""
    monkeypatch.setattr(sections, "GROUP", "test.sections")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(distribution, entry=object of its module, ...)"""

    def put(name: str, /, **entries: str) -> None:
        module = name.replace("-", "_")
        values = {key: f"{module}:{value}" for key, value in entries.items()}
        foreign_package.install(tmp_path / name, monkeypatch, name, {"test.sections": values}, WATCH)

    return put


def test_without_sections_the_schema_is_the_pipelines_own():
    assert sections.extended(Own) is Own


def test_a_section_is_checked_with_the_rest(install):
    install("watch-dog", watch="Options")
    schema = sections.extended(Own)
    assert list(schema.model_fields) == ["name", "watch"]
    assert schema.model_validate({"watch": {"every_s": 5}}).watch.every_s == 5
    assert schema.model_validate({}).watch.every_s == 60
    assert issubclass(schema, Own) and sections.extended(Own) is schema
    for raw, line in (
        ({"watch": {"every": 5}}, "watch.every: unknown key (value 5); did you mean 'every_s'? allowed: every_s"),
        ({"wach": {}}, "wach: unknown key (value {}); did you mean 'watch'? allowed: name, watch"),
        ({"watch": {"every_s": 0}}, "watch.every_s: input should be greater than or equal to 1; received 0 (int)"),
    ):
        with pytest.raises(pydantic.ValidationError) as caught:
            schema.model_validate(raw)
        assert explain(caught.value, schema, raw) == [line]


def test_what_identifies_a_run_can_leave_it_out(install):
    install("watch-dog", watch="Options")
    config = sections.extended(Own)(name="y")
    assert config.model_dump(exclude=sections.names(config, Own)) == {"name": "y"}


def test_a_section_that_two_packages_register_names_both(install):
    install("watch-dog", watch="Options")
    install("watch-cat", watch="Options")
    with pytest.raises(RegistrationError) as caught:
        sections.extended(Own)
    assert str(caught.value) == (
        "watch: the section is registered twice: watch_cat:Options (watch-cat) and watch_dog:Options (watch-dog); "
        "remove one package"
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "Options"}, "section 'name' of watch_dog:Options (watch-dog): the name is a key of the pipeline"),
        ({"a.b": "Options"}, "section 'a.b' of watch_dog:Options (watch-dog): the name is no name of a key"),
        ({"watch": "Absent"}, "cannot be imported: AttributeError: module 'watch_dog' has no attribute 'Absent'"),
        ({"watch": "number"}, "is a int; allowed: a pydantic model"),
        ({"watch": "Lax"}, 'takes unknown keys; allowed: a model with extra="forbid"'),
        ({"watch": "Demanding"}, "address has no default; allowed: a model that can do without any key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_section_that_cannot_be_taken_says_whose_it_is(install, entry, message):
    install("watch-dog", **entry)
    with pytest.raises(RegistrationError) as caught:
        sections.extended(Own)
    assert message in str(caught.value) and "(watch-dog)" in str(caught.value)


def test_a_layer_reads_its_own_section():
    class Whole(Own):
        kubeflow: KubeflowOptions = KubeflowOptions()

    class Other(Own):
        kubeflow: Own = Own()

    assert sections.section(Whole(kubeflow={"image": "i:1"}), "kubeflow", KubeflowOptions).image == "i:1"
    assert sections.section(Own(), "kubeflow", KubeflowOptions) == KubeflowOptions()
    with pytest.raises(RegistrationError, match=r"kubeflow: the section is a .*Own; allowed: a .*KubeflowOptions"):
        sections.section(Other(), "kubeflow", KubeflowOptions)
