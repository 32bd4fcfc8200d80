"""What the networks of `keras.applications` were trained on: value range and size. Imports no Keras."""

import difflib
from typing import Any

PREFIX = "applications:"

# Read from preprocess_input of each module of keras.applications (mode "tf", "caffe", "torch", or none at all).
_SYMMETRIC = (-1.0, 1.0)
_BYTES = (0.0, 255.0)
_UNIT = (0.0, 1.0)
_VALUE_RANGES = {
    **dict.fromkeys(["MobileNet", "MobileNetV2", "Xception", "InceptionV3", "InceptionResNetV2"], _SYMMETRIC),
    **dict.fromkeys(["NASNetMobile", "NASNetLarge", "ResNet50V2", "ResNet101V2", "ResNet152V2"], _SYMMETRIC),
    **dict.fromkeys(["MobileNetV3Small", "MobileNetV3Large"], _BYTES),
    **{f"EfficientNetB{size}": _BYTES for size in range(8)},
    **{f"EfficientNetV2{size}": _BYTES for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **{f"ConvNeXt{size}": _BYTES for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **dict.fromkeys(["ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"], _BYTES),
    **dict.fromkeys(["DenseNet121", "DenseNet169", "DenseNet201"], _UNIT),
}
# The size that a module of keras.applications gives its network with the classifier; 224 for all others.
_SIZES = {
    **dict.fromkeys(["Xception", "InceptionV3", "InceptionResNetV2"], 299),
    "NASNetLarge": 331,  # which Keras loads with ImageNet's weights in this size only
    **{f"EfficientNetB{number}": size for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{"EfficientNetV2B1": 240, "EfficientNetV2B2": 260, "EfficientNetV2B3": 300},
    **{"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480},
}
_USUAL = 224


def is_application(handle: str) -> bool:
    """Whether `handle` names a network of `keras.applications` ("MobileNetV2" or "applications:MobileNetV2")."""
    return handle.startswith(PREFIX) or handle.partition("?")[0] in _VALUE_RANGES


def near_names(handle: str) -> list[str]:
    """Names of networks that `handle` may have meant, the nearest first."""
    return difflib.get_close_matches(_name(handle), _VALUE_RANGES, n=3, cutoff=0.5)


def value_range(handle: str) -> tuple[float, float] | None:
    """What black and white are to a network; None for a name that is none."""
    return _VALUE_RANGES.get(_name(handle))


def input_settings(handle: str) -> dict[str, Any]:
    """The section `input` that a network takes, beyond the defaults; empty for a handle of another kind."""
    found = value_range(handle) if is_application(handle) else None
    if found is None:
        return {}
    size = _SIZES.get(_name(handle), _USUAL)
    return {"kind": "image", "image_size": [size, size], "value_range": list(found)}


def _name(handle: str) -> str:
    return handle.removeprefix(PREFIX).partition("?")[0]
