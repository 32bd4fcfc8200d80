"""Which layers belong together, by the names that networks really have, and what patterns name."""

import keras
import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.layer_groups import NamedLayer, group_layers, matching, unique, without_common


def layers(*names: str) -> list[NamedLayer]:
    """Layers with a matrix each, but those whose name tells of a normalisation."""

    def variable(name: str) -> keras.Variable:
        vector = any(part in name.lower() for part in ("bn", "norm"))
        return keras.Variable(np.zeros((3,) if vector else (2, 3), np.float32))

    return [NamedLayer(name, [variable(name)]) for name in names]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["conv_0", "norm_0", "conv_1", "norm_1"], ["conv_0"] * 2 + ["conv_1"] * 2),
        (
            ["Conv1", "bn_Conv1", "expanded_conv_depthwise", "expanded_conv_project", "block_1_expand", "block_12_BN"],
            ["Conv1", "Conv1", "expanded_conv", "expanded_conv", "block_1", "block_1"],
        ),
        (
            ["conv1_conv", "conv2_block1_preact_bn", "conv2_block1_1_conv", "post_bn"],
            ["conv1", "conv2", "conv2", "conv2"],
        ),
        (
            ["resnet_v2_50/conv1", "resnet_v2_50/block3/unit_5/conv1", "resnet_v2_50/block3/unit_6/conv1"],
            ["resnet_v2_50/conv1", "resnet_v2_50/block3", "resnet_v2_50/block3"],
        ),
        (
            ["MobilenetV2/Conv", "MobilenetV2/expanded_conv_1/expand", "MobilenetV2/expanded_conv_13/expand"],
            ["MobilenetV2/Conv", "MobilenetV2/expanded_conv_1", "MobilenetV2/expanded_conv_13"],
        ),
        (
            [
                "bert/word_embeddings",
                "bert/layer_norm",
                "bert/transformer/layer_0/query",
                "bert/transformer/layer_0/key",
            ],
            ["bert/word", "bert/word", "bert/transformer/layer_0", "bert/transformer/layer_0"],
        ),
        (["stem_conv", "block2d_expand_conv", "top_conv"], ["stem", "block2d", "top"]),
        (["conv2d", "batch_normalization", "conv2d_1"], ["conv2d", "conv2d", "conv2d_1"]),
        (["dense"], ["dense"]),
    ],
)
def test_names_of_published_networks(names, groups):
    given = layers(*names)
    found = {layer.name: group.name for group in group_layers(given) for layer in group.layers}
    assert [found[name] for name in names] == groups
    assert [layer for group in group_layers(given) for layer in group.layers] == given


def test_counts():
    [first, second] = group_layers(layers("conv_0", "norm_0", "conv_1"))
    assert (first.parameters, len(first.variables)) == (6 + 3, 2)
    assert (second.parameters, len(second.variables)) == (6, 1)


def test_patterns_name_groups_and_layers():
    groups = group_layers(layers("block_1_a", "block_1_b", "block_2_a", "block_12_a", "top"))
    assert matching(groups, ["block_1"], "it") == {"block_1_a", "block_1_b"}
    assert matching(groups, ["block_1*"], "it") == {"block_1_a", "block_1_b", "block_12_a"}
    assert matching(groups, ["*_a", "top"], "it") == {"block_1_a", "block_2_a", "block_12_a", "top"}
    assert matching(groups, ["block_[12]"], "it") == {"block_1_a", "block_1_b", "block_2_a"}


@pytest.mark.parametrize("pattern", ["blok_1", "BLOCK_1", "lock_1", ""])
def test_a_pattern_that_names_nothing_is_refused_with_the_groups_there_are(pattern):
    groups = group_layers(layers("block_1_a", "block_2_a"))
    words = rf"transfer\.unfreeze: '{pattern}' matches no group and no layer of it; .*: block_1, block_2$"
    with pytest.raises(GraftError, match=words):
        matching(groups, ["block_1", pattern], "it")


def test_names_that_two_layers_share():
    assert unique(["a", "b", "a", "a"]) == ["a", "b", "a:2", "a:3"]


def test_networks_that_hold_all_layers_are_left_out_of_names():
    assert without_common(["net/stem/a", "net/stem/b", "net/c"]) == ["stem/a", "stem/b", "c"]
    assert without_common(["net/in/a", "net/in/b"]) == ["a", "b"]
    assert without_common(["a", "net/a"]) == ["a", "net/a"] and without_common(["net/a"]) == ["a"]
    assert without_common([]) == []
