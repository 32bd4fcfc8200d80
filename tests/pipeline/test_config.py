"""The configuration: what is accepted, and errors that name file, key, value and what is allowed."""

import pathlib

import pytest

from graft.models.transfer import METHODS
from graft.pipeline import config as configs
from graft.pipeline.config import ConfigError

SMALLEST = """
name: trashnet
data: {source: image_folder, path: "${PICTURES}/trashnet"}
input: {image_size: [224, 224], value_range: [0, 1]}
backbone: {handle: "${PICTURES}/backbone/1"}
transfer: {method: frozen}
gates: {accuracy: 0.7}
store: runs/store
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(text, *overrides) -> the configuration in that text."""
    monkeypatch.setenv("PICTURES", "/pictures")

    def do(text: str = SMALLEST, *overrides: str):
        (tmp_path / "my.yaml").write_text(text)
        return configs.load(tmp_path / "my.yaml", list(overrides))

    return do


@pytest.fixture
def refusal(load, tmp_path):
    """refusal(text, *overrides) -> the lines of the error, each without the file name that it must start with."""

    def do(text: str = SMALLEST, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            load(text, *overrides)
        lines = str(error.value).splitlines()
        assert all(line.startswith(f"{tmp_path}/my.yaml: ") for line in lines)
        return [line.removeprefix(f"{tmp_path}/my.yaml: ") for line in lines]

    return do


def test_smallest_configuration_has_sound_defaults(load):
    config = load()
    assert config.data.path == "/pictures/trashnet"
    assert config.backbone.handle == "/pictures/backbone/1"
    assert config.transfer.model_dump() == {"method": "frozen"}
    assert config.gates.accuracy == 0.7 and config.gates.baseline_tolerance == 0.02
    assert config.gates.negative_transfer is None
    assert config.train.epochs == 20 and config.push.keep == 5
    assert config.run_root == pathlib.Path("runs/trashnet")


def test_the_options_of_a_method_get_their_defaults(load):
    config = load(SMALLEST, "transfer={method: fine_tune, unfreeze: 0.5}")
    told = config.transfer.model_dump()
    assert (
        told.items()
        >= {
            "method": "fine_tune",
            "unfreeze": 0.5,
            "learning_rate": 1e-5,
            "epochs": 5,
            "head_epochs": None,
            "optimizer": "adam",
            "schedule": "constant",
            "layer_decay": 1.0,
            "gradual": False,
            "mixup": 0.0,
        }.items()
    )


def test_settings_of_a_method_that_exclude_each_other(refusal):
    [line] = refusal(SMALLEST, "transfer={method: fine_tune, recipe: bit, epochs: 9}")
    assert line.startswith("transfer: recipe 'bit' sets epochs, ") and "leave out epochs: 9; received" in line


def test_overrides(load):
    config = load(
        SMALLEST, "train.epochs=5", "gates.slices={}", "input.augment.flip=false", "name=other", "store=${PICTURES}/s"
    )
    assert config.train.epochs == 5
    assert config.input.augment.flip is False
    assert config.name == "other"
    assert config.store == "/pictures/s"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "--set 'train.epochs': must be key=value, for instance train.epochs=5"),
        ("=5", "--set '=5': must be key=value, for instance train.epochs=5"),
        ("name.first=x", "--set 'name.first=x': name holds 'trashnet', not a mapping"),
        ("gates.accuracy=[", "--set 'gates.accuracy=[': the value is not valid YAML: "),
        ("name=2024-13-45", "--set 'name=2024-13-45': the value is not valid YAML: month must be in 1..12"),
        (
            "gates={accuracy: 0.9, accuracy: 0}",
            "--set 'gates={accuracy: 0.9, accuracy: 0}': the value is not valid YAML: ",
        ),
    ],
)
def test_a_bad_override(load, override, message):
    with pytest.raises(ConfigError) as error:
        load(SMALLEST, override)
    assert str(error.value).startswith(message)


def test_a_key_that_stands_twice(load):
    """YAML's own loader keeps the last: the floors of the first section would be lost without a word."""
    with pytest.raises(ConfigError, match=r"the key 'gates' stands twice in one mapping in .*, line \d+, column 1"):
        load(SMALLEST + "gates: {accuracy: 0.9}\ngates: {macro_f1: 0.1}\n")


def test_an_override_is_checked_like_the_file(refusal):
    assert refusal(SMALLEST, "train.epoch=5")[0].startswith(
        "train.epoch: unknown key (value 5); did you mean 'epochs'? "
    )


def test_a_missing_environment_variable(refusal):
    assert refusal(SMALLEST.replace("PICTURES}/trash", "NOWHERE_SET}/trash")) == [
        "data.path: environment variable NOWHERE_SET is not set (in '${NOWHERE_SET}/trashnet')"
    ]


def test_variables_expand_in_lists_and_mappings(load, refusal):
    idx = "data={source: idx, path: p, pairs: [{images: '${PICTURES}/a', labels: b}]}"
    assert load(SMALLEST, idx).data.pairs[0].images == "/pictures/a"
    message = refusal(SMALLEST, idx.replace("PICTURES", "NOWHERE_SET"))
    assert message == ["data.pairs[0].images: environment variable NOWHERE_SET is not set (in '${NOWHERE_SET}/a')"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "trane={}",
            "trane: unknown key (value {}); did you mean 'train'? allowed: name, data, input, target, backbone, head, ",
        ),
        ("data.shema=x", "data.shema: unknown key (value 'x'); did you mean 'schema'? allowed: source, path, "),
        (
            "data.split.evl=0.1",
            "data.split.evl: unknown key (value 0.1); did you mean 'eval'? allowed: eval, test, from_train",
        ),
        ("data.columns.splt=x", "data.columns.splt: unknown key (value 'x'); did you mean 'split'? "),
        (
            "data={source: idx, path: p, pairs: [{image: a}]}",
            "data.pairs.0.image: unknown key (value 'a'); did you mean 'images'? ",
        ),
        ("backbone.handel=x", "backbone.handel: unknown key (value 'x'); did you mean 'handle'? allowed: handle, "),
        (
            "head.drop=1",
            "head.drop: unknown key (value 1); did you mean 'dropout'? allowed: hidden, solver, dropout, l2, refit",
        ),
        ("transfer.unfreeze=1", "transfer.unfreeze: unknown key (value 1); allowed: method"),
        (
            "transfer={method: fine_tune, unfreez: 1}",
            "transfer.unfreez: unknown key (value 1); did you mean 'unfreeze'? allowed: method, unfreeze, ",
        ),
        ("train.sed=1", "train.sed: unknown key (value 1); did you mean 'seed'? allowed: epochs, "),
        ("input.augment.flp=1", "input.augment.flp: unknown key (value 1); did you mean 'flip'? allowed: flip, crop, "),
        (
            "gates.acuracy=1",
            "gates.acuracy: unknown key (value 1); did you mean 'accuracy'? allowed: accuracy, ",
        ),
        (
            "gates.slices={camera: {acuracy: 1}}",
            "gates.slices.camera.acuracy: unknown key (value 1); did you mean 'accuracy'? allowed: accuracy, ",
        ),
        (
            "gates.negative_transfer.seed=1",
            "gates.negative_transfer.seed: unknown key (value 1); did you mean 'seeds'? allowed: seeds, references, ",
        ),
        (
            "serving_check.example=1",
            "serving_check.example: unknown key (value 1); did you mean 'examples'? allowed: examples, tolerance",
        ),
        ("push.kep=3", "push.kep: unknown key (value 3); did you mean 'keep'? allowed: keep"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(refusal, override, message):
    assert any(line.startswith(message) for line in refusal(SMALLEST, override)), refusal(SMALLEST, override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs=five", "train.epochs: input should be a valid integer"),
        ("train.epochs=0", "train.epochs: input should be greater than or equal to 1; received 0 (int)"),
        ("train=null", "train: input should be a mapping of keys; received None (NoneType)"),
        ("name=3", "name: input should be a valid string; received 3 (int)"),
        ("name=a b", "name: string should match pattern "),
        ("gates.accuracy=1.01", "gates.accuracy: input should be less than or equal to 1; received 1.01 (float)"),
        (
            "gates.precision=2",
            "gates.precision: input should be less than or equal to 1 or input should be a mapping of keys; ",
        ),
        ("gates.recall={cat: 2}", "gates.recall.cat: input should be less than or equal to 1; received 2 (int)"),
        (
            "gates.negative_transfer.references=[rw]",
            "gates.negative_transfer.references.0: input should be 'raw' or 'scratch'; ",
        ),
        ("target.class_weights=bal", "target.class_weights: input should be 'none' or 'balanced' or "),
        ("push.keep=1", "push.keep: input should be greater than or equal to 2; received 1 (int)"),
        ("input.image_size=[224]", "input.image_size.1: missing; it has no default"),
        ("input.value_range=[1, 0]", "input.value_range: must go up from black to white; received [1, 0] (list)"),
        ("backbone={}", "backbone.handle: missing; it has no default"),
        ("data.source=image_foldr", "data.source: did you mean 'image_folder'? allowed: image_folder, csv, "),
        ("transfer=[x]", f"transfer.method: must be one of {', '.join(METHODS)}; received ['x'] (list)"),
        ("input.kind=imag", "input.kind: did you mean 'image'? allowed: image, text; received 'imag' (str)"),
        ("target.kind=[1]", "target.kind: must be one of label, labels, numbers; received [1] (list)"),
        (
            "transfer.method=fine_tun",
            f"transfer.method: did you mean 'fine_tune'? allowed: {', '.join(METHODS)}; received",
        ),
        (
            "transfer={method: fine_tune, unfreeze: 2}",
            "transfer.unfreeze: input should be less than or equal to 1 or input should be a valid list; received 2",
        ),
        ("store=null", "store: input should be a valid string; received None (NoneType)"),
    ],
)
def test_a_wrong_type_or_value(refusal, override, message):
    assert len(refusal(SMALLEST, override)) == 1
    assert refusal(SMALLEST, override)[0].startswith(message)


def test_every_fault_has_its_line(refusal):
    lines = refusal(SMALLEST, "train.epochs=0", "transfer.method=frosen", "data.pth=x")
    assert [line.split(":")[0] for line in lines] == ["data.pth", "transfer.method", "train.epochs"]


def test_augmentation_needs_a_method_that_sees_images(load, refusal):
    assert refusal(SMALLEST, "input.augment.flip=true")[0].startswith(
        "input.augment: method 'frozen' trains on features "
    )
    assert load(SMALLEST, "input.augment.flip=true", "transfer.method=fine_tune").input.augment.flip


def test_gated_slices_are_columns_of_the_data(load, refusal):
    csv = "data={source: csv, path: p, slices: [camera]}"
    assert load(SMALLEST, csv, "gates.slices={camera: {accuracy: 0.5}}").gates.slices["camera"].accuracy == 0.5
    assert refusal(SMALLEST, csv, "gates.slices={kamera: {}}") == ["gates.slices: kamera not in data.slices (camera)"]
    assert refusal(SMALLEST, "gates.slices={camera: {}}") == ["gates.slices: camera not in data.slices (empty)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must be a mapping of keys (name, data, input, target, backbone, "),
        ("just words", "must be a mapping of keys (name, data, input, target, backbone, "),
        ("", "must be a mapping of keys (name, data, input, target, backbone, "),
        ("name: [", "not valid YAML: while parsing "),
        ("1: x\n" + SMALLEST, "1: keys should be strings; received 1 (int)"),
    ],
)
def test_what_is_no_configuration(refusal, text, message):
    assert refusal(text)[0].startswith(message)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file; `graft init` writes a configuration"):
        configs.load(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match=r"binary\.yaml: cannot be read as UTF-8 YAML: "):
        configs.load(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match=r"Is a directory; it must be a YAML file"):
        configs.load(tmp_path)
