"""What is known of the networks of `keras.applications` without building one: size, features, licence.

Value ranges and image sizes stand in `models.application_inputs`.
"""

from collections.abc import Iterator

from graft.models import application_inputs
from graft.models.backbone_facts import Facts

# Parameters and channels of the last map, of the network without its classifier (include_top=False).
_SIZES = {
    "MobileNet": (3_228_864, 1024),
    "MobileNetV2": (2_257_984, 1280),
    "MobileNetV3Small": (939_120, 576),
    "MobileNetV3Large": (2_996_352, 960),
    "NASNetMobile": (4_269_716, 1056),
    "NASNetLarge": (84_916_818, 4032),
    "EfficientNetB0": (4_049_571, 1280),
    "EfficientNetB1": (6_575_239, 1280),
    "EfficientNetB2": (7_768_569, 1408),
    "EfficientNetB3": (10_783_535, 1536),
    "EfficientNetB4": (17_673_823, 1792),
    "EfficientNetB5": (28_513_527, 2048),
    "EfficientNetB6": (40_960_143, 2304),
    "EfficientNetB7": (64_097_687, 2560),
    "EfficientNetV2B0": (5_919_312, 1280),
    "EfficientNetV2B1": (6_931_124, 1280),
    "EfficientNetV2B2": (8_769_374, 1408),
    "EfficientNetV2B3": (12_930_622, 1536),
    "EfficientNetV2S": (20_331_360, 1280),
    "EfficientNetV2M": (53_150_388, 1280),
    "EfficientNetV2L": (117_746_848, 1280),
    "DenseNet121": (7_037_504, 1024),
    "DenseNet169": (12_642_880, 1664),
    "DenseNet201": (18_321_984, 1920),
    "VGG16": (14_714_688, 512),
    "VGG19": (20_024_384, 512),
    "Xception": (20_861_480, 2048),
    "InceptionV3": (21_802_784, 2048),
    "InceptionResNetV2": (54_336_736, 1536),
    "ResNet50": (23_587_712, 2048),
    "ResNet101": (42_658_176, 2048),
    "ResNet152": (58_370_944, 2048),
    "ResNet50V2": (23_564_800, 2048),
    "ResNet101V2": (42_626_560, 2048),
    "ResNet152V2": (58_331_648, 2048),
    "ConvNeXtTiny": (27_820_128, 768),
    "ConvNeXtSmall": (49_454_688, 768),
    "ConvNeXtBase": (87_566_464, 1024),
    "ConvNeXtLarge": (196_230_336, 1536),
    "ConvNeXtXLarge": (348_147_968, 2048),
}
# Of the weights, as the page "Applications" of Keras 2.2 says; it knows no others, and later pages name no licence.
_LICENCES = {
    **dict.fromkeys(["MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge"], "Apache-2.0"),
    **dict.fromkeys(["InceptionV3", "InceptionResNetV2"], "Apache-2.0"),
    **dict.fromkeys(["Xception", "ResNet50"], "MIT"),
    **dict.fromkeys(["VGG16", "VGG19"], "CC-BY-4.0"),
    **dict.fromkeys(["DenseNet121", "DenseNet169", "DenseNet201"], "BSD-3-Clause"),
}


def facts(handle: str) -> Facts | None:
    """Of the network that a handle names; None where it names none of `keras.applications`."""
    settings = application_inputs.input_settings(handle)
    if not settings:
        return None
    name = handle.removeprefix(application_inputs.PREFIX).partition("?")[0]
    parameters, feature_dim = _SIZES[name]
    height, width = settings["image_size"]
    low, high = settings["value_range"]
    return Facts(parameters, feature_dim, (height, width), (low, high), _LICENCES.get(name))


def every() -> Iterator[tuple[str, Facts]]:
    """Handle and facts of each network, those of one family together and the small ones first."""
    for name in _SIZES:
        handle = f"{application_inputs.PREFIX}{name}"
        found = facts(handle)
        assert found is not None
        yield handle, found
