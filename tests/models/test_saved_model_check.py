"""What a SavedModel would do besides computing is found before it is loaded."""

import pathlib
import shutil

import keras
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hostile_models import PLACES, SIZE, add_write, edit, function, save, write_to
from small_inputs import pictures

from graft.models import saved_model_check
from graft.models.errors import GraftError
from graft.models.publish import publish_backbone
from graft.models.saved_model_check import find_faults, read_saved_model, require_allowed


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> pathlib.Path:
    return save(tmp_path_factory.mktemp("harmless"), "nowhere", lambda: None)


@pytest.fixture(scope="module")
def with_table(tmp_path_factory) -> pathlib.Path:
    """A SavedModel with a lookup table over an asset."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "words").write_text("a\nb\n")
    module = tf.Module()
    initializer = tf.lookup.TextFileInitializer(
        str(folder / "words"),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    module.serve = tf.function(lambda words: module.table.lookup(words), [tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(folder / "model"), signatures={"serving_default": module.serve})
    return folder / "model"


@pytest.fixture
def copy(tmp_path):
    return lambda folder: pathlib.Path(shutil.copytree(folder, tmp_path / "copy", symlinks=True))


@pytest.mark.parametrize("place", PLACES)
def test_a_write_is_found_wherever_it_hides(tmp_path, place):
    folder = save(tmp_path / "model", place, write_to(tmp_path / "evil"))
    assert any(fault.startswith("WriteFile (node ") for fault in find_faults(folder))
    assert not (tmp_path / "evil").exists()


def test_the_message_names_operation_node_and_function(tmp_path):
    folder = save(tmp_path / "model", "function", write_to(tmp_path / "evil"))
    with pytest.raises(GraftError) as caught:
        require_allowed(folder, "backbone 'x'", "say so")
    message = str(caught.value)
    assert message.startswith(
        "backbone 'x' does more than compute: WriteFile (node 'WriteFile' of function '__inference"
    )
    assert message.endswith("; say so") and "\n" not in message


def test_writes_in_the_graph_itself_are_found(harmless, copy, tmp_path):
    """The graph that a session loads: TensorFlow Serving's, and ours."""
    main = edit(copy(harmless), lambda proto: add_write(proto.meta_graphs[0].graph_def.node, tmp_path / "evil", True))
    assert find_faults(main) == ["WriteFile (node 'evil/write')"]


def test_writes_in_the_function_that_restores_are_found(harmless, copy, tmp_path):
    restore = "__inference__traced_restore"
    folder = edit(copy(harmless), lambda proto: add_write(function(proto, restore).node_def, tmp_path / "evil"))
    (fault,) = find_faults(folder)
    assert fault.startswith(f"WriteFile (node 'evil/write' of function '{restore}")


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["SaveV2", "RestoreV2", "InitializeTableFromTextFileV2", "MergeV2Checkpoints"])
@pytest.mark.parametrize("place", ["call", "initialiser"])
def test_what_a_saver_does_is_refused_elsewhere(tmp_path, operation, place):
    path = str(tmp_path / "evil")

    def effect():
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        {
            "SaveV2": lambda: tf.raw_ops.SaveV2(
                prefix=path, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
            ),
            "RestoreV2": lambda: tf.raw_ops.RestoreV2(
                prefix=path, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
            ),
            "InitializeTableFromTextFileV2": lambda: tf.raw_ops.InitializeTableFromTextFileV2(
                table_handle=table, filename="/etc/passwd", key_index=-2, value_index=-1
            ),
            "MergeV2Checkpoints": lambda: tf.raw_ops.MergeV2Checkpoints(
                checkpoint_prefixes=[path], destination_prefix=path
            ),
        }[operation]()

    faults = find_faults(save(tmp_path / "model", place, effect))
    assert any(fault.startswith(f"{operation} (node ") for fault in faults)


def test_a_restore_from_a_path_of_its_own_is_refused(harmless, copy):
    def change(proto):
        body = function(proto, "__inference__traced_restore").node_def
        next(node for node in body if node.op == "RestoreV2").input[0] = "RestoreV2/tensor_names:output:0"

    (fault,) = find_faults(edit(copy(harmless), change))
    assert fault.startswith("RestoreV2 (node 'RestoreV2' of function ")


def test_a_signature_that_saves_is_refused(harmless, copy):
    """By a control input, so that no tensor shows it."""

    def change(proto):
        meta_graph = proto.meta_graphs[0]
        saver = meta_graph.saver_def.save_tensor_name.partition(":")[0]
        output = meta_graph.signature_def["serving_default"].outputs["output_0"].name.partition(":")[0]
        next(node for node in meta_graph.graph_def.node if node.name == output).input.append(f"^{saver}")

    faults = find_faults(edit(copy(harmless), change))
    assert sorted(fault.partition(" ")[0] for fault in faults) == ["MergeV2Checkpoints", "SaveV2"]


def test_an_initialiser_that_saves_is_refused(harmless, copy):
    def change(proto):
        meta_graph = proto.meta_graphs[0]
        saver = meta_graph.saver_def.save_tensor_name.partition(":")[0]
        meta_graph.collection_def["legacy_init_op"].node_list.value.append(saver)

    assert len(find_faults(edit(copy(harmless), change))) == 2


def _as_gradient(proto):
    proto.meta_graphs[0].graph_def.library.registered_gradients.add(
        gradient_func=function(proto, "traced_save").signature.name, registered_op_type="Identity"
    )


def _as_gradient_of_a_function(proto):
    proto.meta_graphs[0].graph_def.library.gradient.add(
        function_name="f", gradient_func=function(proto, "traced_save").signature.name
    )


def _as_another_implementation(proto):
    function(proto, "traced_save").attr["api_implements"].s = b"x"


def _as_text(proto):
    node = function(proto, "__inference__traced_restore").node_def[0]
    node.attr["_backward"].s = function(proto, "traced_save").signature.name.encode()


def _as_a_method(proto):
    node = proto.meta_graphs[0].object_graph_def.nodes.add()
    node.function.concrete_functions.append(function(proto, "traced_save").signature.name)


@pytest.mark.parametrize(
    "change", [_as_gradient, _as_gradient_of_a_function, _as_another_implementation, _as_text, _as_a_method]
)
def test_what_saves_may_be_reached_in_no_other_way(harmless, copy, change):
    assert {fault.partition(" ")[0] for fault in find_faults(edit(copy(harmless), change))} == {
        "MergeV2Checkpoints",
        "SaveV2",
    }


def test_names_that_mean_two_things_are_refused(harmless, copy):
    def change(proto):
        library = proto.meta_graphs[0].graph_def.library
        library.function.add().signature.name = "ReadFile"
        library.function.add().CopyFrom(library.function[0])

    faults = find_faults(edit(copy(harmless), change))
    assert any("is called like an operation" in fault for fault in faults)
    assert any("is there twice" in fault for fault in faults)


def test_unknown_operations_are_refused(harmless, copy):
    def change(proto):
        proto.meta_graphs[0].graph_def.node.add(name="mine", op="MyOwnOperation")

    assert find_faults(edit(copy(harmless), change)) == ["MyOwnOperation (node 'mine')"]


def test_names_are_shown_without_their_control_characters(harmless, copy):
    def change(proto):
        proto.meta_graphs[0].graph_def.node.add(name="a\nb", op="\x1b[2JGATE OPEN\n")

    assert find_faults(edit(copy(harmless), change)) == [r"'\x1b[2JGATE OPEN\n' (node 'a\nb')"]


def test_every_meta_graph_is_looked_at(harmless, copy, tmp_path):
    def change(proto):
        add_write(proto.meta_graphs.add().graph_def.node, tmp_path / "evil", True)

    assert find_faults(edit(copy(harmless), change)) == ["WriteFile (node 'evil/write')"]


def test_a_table_over_an_asset_is_allowed(with_table):
    assert find_faults(with_table) == []
    loaded = tf.saved_model.load(str(with_table))
    assert loaded.signatures["serving_default"](tf.constant(["b"]))["output_0"].numpy() == [1]


@pytest.mark.parametrize("name", ["../../words", "/etc/passwd", "..", "gs://bucket/words", "a\0b"])
def test_an_asset_elsewhere_is_refused(with_table, copy, name):
    def change(proto):
        proto.meta_graphs[0].asset_file_def[0].filename = name

    (fault,) = find_faults(edit(copy(with_table), change))
    assert fault.startswith("the asset ")


@pytest.mark.parametrize("what", ["asset", "folder"])
def test_an_asset_behind_a_link_out_of_the_model_is_refused(with_table, copy, tmp_path, what):
    folder = copy(with_table)
    if what == "asset":
        (folder / "assets" / "words").unlink()
        (folder / "assets" / "words").symlink_to("/etc/passwd")
    else:
        (folder / "assets").rename(tmp_path / "moved")
        (folder / "assets").symlink_to(tmp_path / "moved")
    assert find_faults(folder) == ["the asset 'words' lies outside of its folder"]


def test_a_table_whose_path_a_variable_may_change_is_refused(with_table, copy):
    """The path goes through a variable; a second handle of the same name could put another one there."""

    def change(proto):
        nodes = proto.meta_graphs[0].graph_def.node
        read = next(node for node in nodes if node.op == "ReadVariableOp")
        variable = next(node for node in nodes if node.name == read.input[0])
        twin = nodes.add()
        twin.CopyFrom(variable)
        twin.name = "twin"
        twin.attr["shared_name"].s = variable.attr["shared_name"].s or variable.name.encode()

    (fault,) = find_faults(edit(copy(with_table), change))
    assert fault.startswith("InitializeTableFromTextFileV2 ")


def test_text_and_damaged_files(harmless, copy, tmp_path, monkeypatch):
    folder = copy(harmless)
    proto = read_saved_model(folder)
    add_write(proto.meta_graphs[0].graph_def.node, tmp_path / "evil", True)
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(proto))
    assert find_faults(folder) == ["WriteFile (node 'evil/write')"]
    (folder / "saved_model.pbtxt").write_text("no {")
    with pytest.raises(GraftError, match=r"saved_model\.pbtxt: cannot be read: it is no SavedModel or damaged"):
        find_faults(folder)
    (folder / "saved_model.pb").write_bytes((harmless / "saved_model.pb").read_bytes()[:-9])
    with pytest.raises(GraftError, match=r"saved_model\.pb: cannot be read: it is no SavedModel or damaged"):
        find_faults(folder)
    monkeypatch.setattr(saved_model_check, "MAX_GRAPH_BYTES", 1000)
    with pytest.raises(GraftError, match=r"bytes; a graph is a plain file of at most 1000 bytes"):
        find_faults(folder)
    (folder / "saved_model.cpb").touch()  # which a newer TensorFlow reads first
    with pytest.raises(GraftError, match="a graph in pieces"):
        find_faults(folder)


def test_a_deep_chain_is_followed(harmless, copy):
    def change(proto):
        body = function(proto, "__inference__traced_restore").node_def
        restore = next(node for node in body if node.op == "RestoreV2")
        source = restore.input[0]
        for index in range(5000):
            body.add(name=f"hop{index}", op="Identity", input=[source])
            source = f"hop{index}:output:0"
        restore.input[0] = source

    assert find_faults(edit(copy(harmless), change)) == []


def test_a_chain_without_end_is_refused(harmless, copy):
    """Each operation on files is followed through the graph: their number and the way are bounded."""

    def change(proto):
        body = function(proto, "__inference__traced_restore").node_def
        restore = next(node for node in body if node.op == "RestoreV2")
        for index in range(20_000):
            body.add(name=f"hop{index}", op="Identity", input=[f"hop{index + 1}:output:0"])
        body[-1].input[0] = restore.input[0]
        for index in range(2000):
            body.add(name=f"restore{index}", op="RestoreV2", input=["hop0:output:0"])

    faults = find_faults(edit(copy(harmless), change))
    assert len(faults) < 1100 and faults[-1] == "more than 1000 operations on files"


@pytest.mark.parametrize(("operation", "attribute"), [("Const", "dtype"), ("ParseTensor", "out_type")])
def test_a_handle_that_is_written_in_the_file_is_refused(harmless, copy, operation, attribute):
    """It could be that of a variable or table of somebody else, or of the path of an asset."""

    def change(proto):
        node = proto.meta_graphs[0].graph_def.node.add(name="handle", op=operation)
        node.attr[attribute].type = tf.resource.as_datatype_enum

    assert find_faults(edit(copy(harmless), change)) == [f"{operation} (node 'handle')"]


def test_a_table_that_a_client_could_initialise_is_refused(with_table, copy):
    """Only the loader gives the path of an asset; a client's call would take the one in the file."""

    def change(proto):
        signature = proto.meta_graphs[0].signature_def["__saved_model_init_op"]
        initialiser = next(
            node for node in proto.meta_graphs[0].graph_def.node if "_initializer" in node.attr["f"].func.name
        )
        signature.outputs["__saved_model_init_op"].name = f"{initialiser.name}:0"

    (fault,) = find_faults(edit(copy(with_table), change))
    assert fault.startswith("InitializeTableFromTextFileV2 ")


@pytest.mark.slow
def test_what_graft_and_keras_publish_passes(tmp_path, training_input):
    network = keras.Sequential(
        [keras.Input((*SIZE, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    )
    publish_backbone(network, tmp_path / "published", pictures(SIZE).spec)
    network.export(tmp_path / "exported", verbose=False)
    assert find_faults(tmp_path / "published") == find_faults(tmp_path / "exported") == []
    assert find_faults(training_input.transform / "transform_fn") == []


@pytest.mark.slow
def test_a_network_of_keras_applications_passes(tmp_path):
    network = keras.applications.MobileNetV3Small(weights=None, include_top=False, input_shape=(32, 32, 3))
    publish_backbone(network, tmp_path, pictures((32, 32)).spec)
    assert find_faults(tmp_path) == []


def test_a_graph_of_tensorflow_1_passes(tmp_path):
    (tmp_path / "words").write_text("a\nb\n")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        words = tf.compat.v1.placeholder(tf.string, [None])
        table = tf.compat.v1.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(tmp_path / "words"), tf.string, -2, tf.int64, -1), -1
        )
        tf.compat.v1.train.Saver([tf.compat.v1.get_variable("v", [2])])  # a second saver, as many exports have
        outputs = tf.gather(tf.compat.v1.get_variable("w", [2]), tf.maximum(table.lookup(words), 0))
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "model"), {"w": words}, {"o": outputs}, tf.compat.v1.tables_initializer()
        )
    assert find_faults(tmp_path / "model") == []


def test_real_models_pass(graft_data):
    models = [path.parent for path in graft_data.glob("**/saved_model.pb")]
    assert len(models) > 5
    assert {str(model): faults for model in models if (faults := find_faults(model))} == {}
