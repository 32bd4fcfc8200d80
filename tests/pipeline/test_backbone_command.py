"""`graft backbone check` and `graft backbone show`, through the command line."""

import json
import pathlib

import keras
import numpy as np
import pytest
import yaml
from hostile_models import SIZE, save, write_to
from PIL import Image
from small_inputs import pictures

from graft.models.hashing import hash_file, hash_folder
from graft.models.publish import publish_backbone
from graft.pipeline import cli


@pytest.fixture
def check(capsys):
    def run(*args) -> tuple[int, dict]:
        code = cli.main(["backbone", "check", *map(str, args), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> pathlib.Path:
    return save(tmp_path_factory.mktemp("harmless"), "nowhere", lambda: None)


@pytest.fixture
def config(harmless, tmp_path):
    """config(**backbone) -> a configuration file."""

    def write(**backbone) -> pathlib.Path:
        content = {
            "name": "x",
            "data": {"source": "image_folder", "path": "d"},
            "backbone": {"handle": str(harmless), "image_size": list(SIZE), **backbone},
        }
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "x.yaml"

    return write


def test_a_configuration_that_is_sound(check, config, harmless):
    code, found = check(config())
    assert code == 0
    assert found["sha256"] == hash_folder(harmless) and found["kind"] == "SavedModel"
    assert found["bytes"] == sum(path.stat().st_size for path in harmless.rglob("*") if path.is_file())
    assert found["faults"] == [] and found["feature_dim"] == 3 and found["not_loaded"] is None
    pinned = yaml.safe_load(found["config"])["backbone"]
    code, again = check(config(**pinned))
    assert code == 0 and again["faults"] == [] and again["feature_dim"] == 3


def test_another_content_than_the_pinned_one_is_not_loaded(check, config):
    code, found = check(config(sha256="0" * 64))
    assert code == 1
    assert found["faults"] == [f"its sha256 is not the pinned {'0' * 64}"]
    assert found["feature_dim"] is None and found["not_loaded"] == "it is not the pinned one"


def test_a_program_is_named_and_not_run(check, config, tmp_path, capsys):
    folder = save(tmp_path / "model", "initialiser", write_to(tmp_path / "evil"))
    code, found = check(folder)
    assert code == 1 and "WriteFile (node " in found["faults"][0]
    assert found["not_loaded"] == "it does more than compute" and not (tmp_path / "evil").exists()
    assert cli.main(["backbone", "check", str(folder)]) == 1
    text = capsys.readouterr().out
    assert "FAULT: does more than compute: WriteFile (node " in text and f"sha256: {hash_folder(folder)}" in text
    code, found = check(config(handle=str(folder), trust=True))
    assert (
        code == 1 and found["faults"] and found["feature_dim"] == 3
    )  # trusted: it was loaded, and is named all the same
    assert (tmp_path / "evil").exists()


def findings(found: dict) -> dict[str, str]:
    """Verdicts by what was checked."""
    return {finding["check"]: finding["verdict"] for finding in found["findings"]}


def test_a_handle_alone_is_tried_on_the_size_that_it_takes(check, harmless, config):
    code, found = check(harmless)
    assert code == 0 and found["feature_dim"] == 3
    assert findings(found) == {"content": "sound", "features": "sound", "range": "not known"}
    code, found = check(config(image_size=[24, 24]))
    assert code == 1 and findings(found) == {"content": "sound", "features": "fault"}
    assert "input.image_size is [24, 24]" in found["not_loaded"] and found["feature_dim"] is None


@pytest.mark.slow
def test_it_is_tried_on_data(check, harmless, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "0.png").write_bytes(b"no image")
    assert cli.main(["backbone", "check", str(harmless), "--data", str(tmp_path / "none")]) == 2
    assert cli.main(["backbone", "check", str(harmless), "--data", str(tmp_path / "data")]) == 1
    captured = capsys.readouterr()
    assert "is no folder" in captured.err and "FAULT: 0 images of" in captured.out
    for number in range(1, 4):
        pixels = rng.integers(0, 255, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "cat" / f"{number}.png")
    code, found = check(harmless, "--data", tmp_path / "data")
    assert code == 0 and findings(found)["data"] == "sound"
    [told] = [finding["told"] for finding in found["findings"] if finding["check"] == "data"]
    assert told.startswith("3 images of") and "1 cannot, such as cat/0.png" in told


def test_what_is_no_feature_vector_or_does_not_tell_inputs_apart_is_a_finding(check, tmp_path):
    images = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    nothing = keras.layers.Dense(4, kernel_initializer="zeros")(pooled)
    keras.Model(images, nothing).save(tmp_path / "same.keras")
    code, found = check(tmp_path / "same.keras")
    assert code == 1 and findings(found)["range"] == "fault"
    assert "the same features for every image" in found["findings"][-1]["told"]
    keras.Model(images, keras.layers.Softmax(name="predictions")(nothing)).save(tmp_path / "classes.keras")
    code, found = check(tmp_path / "classes.keras")
    assert code == 1 and findings(found)["features"] == "fault" and found["not_loaded"]


def test_a_keras_file_and_a_network_by_name(check, tmp_path):
    images = keras.Input((32, 32, 3))
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(images)).save(tmp_path / "net.keras")
    code, found = check(tmp_path / "net.keras")
    assert (code, found["kind"], found["sha256"]) == (0, "Keras file", hash_file(tmp_path / "net.keras"))
    keras.Model(images, keras.layers.Lambda(lambda x: x)(images)).save(tmp_path / "code.keras")
    code, found = check(tmp_path / "code.keras")
    assert code == 1 and found["faults"] == ["the class 'Lambda' (keras.layers)"]
    assert check(tmp_path / "none.keras")[0] == 2


@pytest.mark.slow
def test_a_network_of_keras_applications(check, config):
    code, found = check(
        config(handle="MobileNetV3Small?weights=none", image_size=[32, 32], value_range=[0, 255], sha256="0" * 64)
    )
    assert code == 1 and found["kind"] == "keras.applications" and found["feature_dim"] == 576
    assert found["faults"] == [f"its sha256 is not the pinned {'0' * 64}"] and len(found["sha256"]) == 64
    assert found["bytes"] > 3e6
    code, found = check(config(handle="MobileNetV3Small?weights=none", image_size=[32, 32], value_range=[0, 1]))
    assert code == 1 and "takes pixels from 0 to 255" in found["not_loaded"]
    code, found = check("applications:MobilNetV2")
    assert code == 2 and "did you mean MobileNetV2" in found["error"]


@pytest.fixture
def show(capsys):
    def run(*args) -> dict:
        assert cli.main(["backbone", "show", *map(str, args), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def network() -> keras.Model:
    """Two convolutions with a normalisation after the first, images of 16 x 16."""
    layers = [keras.layers.Conv2D(4, 3, name="conv_0"), keras.layers.BatchNormalization(name="norm_0")]
    layers += [keras.layers.Conv2D(5, 1, use_bias=False, name="conv_1"), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


@pytest.mark.slow
def test_layers_in_groups_of_a_file_and_of_a_saved_model(show, tmp_path, capsys):
    model = network()
    model.save(tmp_path / "net.keras")
    publish_backbone(model, tmp_path / "hub", pictures((16, 16)).spec)
    expected = [
        {
            "name": "conv_0",
            "parameters": 112 + 8,
            "layers": [
                {"name": "conv_0", "parameters": 112, "shapes": [[3, 3, 3, 4], [4]]},
                {"name": "norm_0", "parameters": 8, "shapes": [[4], [4]]},
            ],
        },
        {
            "name": "conv_1",
            "parameters": 20,
            "layers": [{"name": "conv_1", "parameters": 20, "shapes": [[1, 1, 4, 5]]}],
        },
    ]
    for handle in (tmp_path / "net.keras", tmp_path / "hub"):
        found = show(handle)
        assert (found["handle"], found["parameters"]) == (str(handle), 140)
        assert found["groups"] == expected
    assert cli.main(["backbone", "show", str(tmp_path / "hub")]) == 0
    shown = capsys.readouterr().out.splitlines()
    told = dict(line.split(":", 1) for line in shown[:7])
    assert told["kind"].strip() == "SavedModel" and told["takes"].strip() == "float32 [n, 16, 16, 3]"
    assert told["features"].strip() == "5" and told["licence"].strip() == "not known to Graft"
    first, header, *rows, last = shown[7:]
    assert first.endswith("2 groups, 3 layers, 140 parameters, from input to output")
    assert header.split() == ["name", "parameters", "shapes"] and "transfer.unfreeze" in last
    assert [row.split(maxsplit=2) for row in rows] == [
        ["conv_0", "120"],
        ["conv_0", "112", "3x3x3x4, 4"],
        ["norm_0", "8", "4, 4"],
        ["conv_1", "20"],
        ["conv_1", "20", "1x1x4x5"],
    ]


@pytest.mark.slow
def test_a_network_by_name_is_shown_without_its_weights(show, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: pytest.fail("downloads weights"))
    found = show("applications:MobileNetV2")
    names = [group["name"] for group in found["groups"]]
    assert (names[0], names[-1], len(names)) == ("Conv1", "Conv_1", 19)
    assert found["parameters"] == 2_223_872  # 2,257,984 less the statistics of batch normalisation
    assert found["handle"] == "applications:MobileNetV2"
    assert found["input"] == {"kind": "image", "image_size": [224, 224], "value_range": [-1, 1]}
    assert (found["feature_dim"], found["licence"], found["kind"]) == (1280, "Apache-2.0", "keras.applications")


def test_of_what_no_input_suits_only_layers_and_shapes_are_told(show, tmp_path):
    rows = keras.Input((6,))
    keras.Model(rows, keras.layers.Dense(2, name="only")(rows)).save(tmp_path / "rows.keras")
    found = show(tmp_path / "rows.keras")
    assert (found["takes"], found["returns"]) == (["float32 [n, 6]"], ["float32 [n, 2]"])
    assert found["input"] == {} and found["feature_dim"] is None and found["parameters"] == 14


def test_what_may_not_be_loaded_is_not_shown(tmp_path, capsys):
    folder = save(tmp_path / "model", "initialiser", write_to(tmp_path / "evil"))
    assert cli.main(["backbone", "show", str(folder)]) == 2
    assert "does more than compute" in capsys.readouterr().err and not (tmp_path / "evil").exists()


def test_a_signature_has_no_layer_that_can_be_trained(tmp_path, capsys):
    network().export(tmp_path / "plain", verbose=False)
    assert cli.main(["backbone", "show", str(tmp_path / "plain")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("plain: no layer of it can be trained")
