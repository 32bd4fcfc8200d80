"""The configuration as text: the starter file loads as the defaults, the page names every key."""

import pathlib

import pytest
import yaml

from graft.components.ingest import sources
from graft.models import inputs, targets
from graft.models.transfer import METHODS
from graft.pipeline import config as configs
from graft.pipeline.reference import config_reference, starter_config

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "configuration.md"
COMMAND = "python -m graft.pipeline.reference > docs/configuration.md"


def leaves(values: dict, above: str = "") -> set[str]:
    """Keys that hold no mapping, with those they lie in."""
    found = set()
    for key, value in values.items():
        found |= leaves(value, f"{above}{key}.") if isinstance(value, dict) and value else {above + key}
    return found


def write(tmp_path: pathlib.Path, text: str) -> pathlib.Path:
    path = tmp_path / "flowers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_starter_loads_as_the_defaults(tmp_path):
    given = {"name": "flowers", "data": {"source": "image_folder", "path": "photos"}, "backbone": {"handle": "b/1"}}
    assert configs.load(write(tmp_path, starter_config("flowers", "photos", "b/1"))) == configs.parse(given, "defaults")


def test_starter_writes_out_every_default():
    text = starter_config("flowers", "photos", "b/1")
    wanted = configs.parse(yaml.safe_load(text), "starter").model_dump(mode="json", by_alias=True)
    assert leaves(yaml.safe_load(text)) == leaves(wanted)


def test_starter_has_a_comment_for_every_key():
    lines = starter_config("flowers", "photos", "b/1").splitlines()
    keys = [number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
    assert keys and all(lines[number - 1].lstrip().startswith("# ") for number in keys)


@pytest.mark.parametrize("path", ["${HOME}/x", "a: b # c", "with\nnewline", "näme", "'quoted\"", "007", "null", " x "])
def test_starter_keeps_any_path(tmp_path, path):
    loaded = yaml.safe_load(write(tmp_path, starter_config("flowers", path, path)).read_text(encoding="utf-8"))
    assert (loaded["data"]["path"], loaded["backbone"]["handle"]) == (path, path)


def test_starter_refuses_a_name_that_no_configuration_may_have():
    with pytest.raises(configs.ConfigError, match=r"name: .*received 'my flowers'"):
        starter_config("my flowers", "photos", "b/1")


def test_page_names_every_key():
    page = config_reference()
    config = configs.parse(yaml.safe_load(starter_config("flowers", "photos", "b/1")), "starter")
    keys = leaves(config.model_dump(mode="json", by_alias=True))
    sections = {"transfer": METHODS, "input": inputs.KINDS, "target": targets.KINDS, "data": sources.REGISTRY}
    for section, kinds in sections.items():
        models = (kinds.options(kind).model_fields for kind in kinds)
        keys |= {f"{section}.{field.alias or name}" for fields in models for name, field in fields.items()}
    modules = [targets.KINDS.module(kind) for kind in targets.KINDS]
    keys |= {f"gates.{name}" for module in modules for name in module.Gates.model_fields}
    keys |= {"data.pairs[].images", "gates.slices.NAME.min_examples", "gates.negative_transfer.seeds"}
    assert not {key for key in keys if f"| `{key}` |" not in page}
    assert "| `gates.no_such_gate` |" not in page


@pytest.mark.parametrize(
    "row",
    [
        "| `data.path` | text | required |",
        "| `transfer.head_epochs` | integer, at least 1, or null | `null` |",
        "| `gates.accuracy` | number, at least 0, at most 1, or null | `null` |",
        "| `train.mixed_precision` | `auto` or `on` or `off` | `auto` |",
        "| `input.image_size` | [integer, integer] | `[224, 224]` |",
        "| `head.hidden` | list, each: integer, above 0 | `[]` |",
    ],
)
def test_rows_say_type_limits_and_default(row):
    assert row in config_reference()


def test_page_names_sources_and_methods():
    page = config_reference()
    assert all(name in page for name in [*sources.REGISTRY, *METHODS])
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert "### transfer: method: fine_tune" in headings and "### input: kind: text" in headings
    assert headings.count("## data.domain") == 1  # the same for all sources with columns


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == config_reference(), f"run: {COMMAND}"
