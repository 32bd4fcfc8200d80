"""Small valid files of each kind that Graft reads, from which the fuzzer starts."""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from small_images import image_file
from tfrecords import framed

CONFIG = """name: fuzzed
data:
  source: image_folder
  path: nowhere
  split: {eval: 0.2, test: 0.2}
  class_names: &names [cat, dog]
backbone: {handle: nowhere, image_size: [32, 32], value_range: [0, 1]}
head: {hidden: [8], dropout: 0.1}
transfer: {method: fine_tune, unfreeze: 0.5, learning_rate: 1.0e-5}
train: {epochs: 3, class_weights: {cat: 1.0, dog: 2.0}, augment: {flip: true}}
gates: {accuracy: 0.7, precision: {cat: 0.5}, negative_transfer: {seeds: 3}}
store: "runs/store"  # a comment
"""


def pictures() -> dict[str, list[bytes]]:
    """Kind -> encoded images."""
    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, 4), dtype=np.uint8)
    rgba = Image.fromarray(pixels)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    wide = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)

    exif = Image.Exif()
    exif[0x0112] = 6
    more = [rgb.rotate(90, expand=False)]
    return {
        "PNG": [image_file(image, "PNG") for image in (rgb, rgba, grey, rgb.quantize(8), wide, grey.convert("1"))],
        "JPEG": [
            image_file(rgb, "JPEG", exif=exif),
            image_file(rgb, "JPEG", progressive=True),
            image_file(grey, "JPEG"),
            image_file(rgb.convert("CMYK"), "JPEG", restart_marker_blocks=1),
        ],
        "GIF": [image_file(rgb, "GIF", save_all=True, append_images=more), image_file(grey, "GIF", transparency=0)],
        "BMP": [image_file(image, "BMP") for image in (rgb, rgba, rgb.quantize(16), grey.convert("1"))],
        "WEBP": [
            image_file(rgb, "WEBP", exif=exif),
            image_file(rgba, "WEBP", lossless=True),
            image_file(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90, expand=False)]),
        ],
        "TIFF": [
            *(image_file(rgb, "TIFF", compression=name) for name in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
            image_file(rgba, "TIFF", compression="packbits"),
            image_file(grey.convert("1"), "TIFF", compression="group4"),
            image_file(wide, "TIFF"),
            image_file(rgb.quantize(8), "TIFF"),
            image_file(rgb, "TIFF", tiffinfo={0x0112: 5}),
        ],
    }


def examples(images: list[bytes]) -> list[bytes]:
    """A serialized tf.Example an image."""
    import tensorflow as tf

    found = []
    for number, image in enumerate(images):
        feature = (message := tf.train.Example()).features.feature
        feature["image"].bytes_list.value.append(image)
        feature["label"].int64_list.value.append(number % 2)
        feature["site"].bytes_list.value.append(b"here")
        feature["box"].float_list.value.extend([0.0, 1.0])
        found.append(message.SerializeToString())
    return found


def containers(images: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """(kind, file) of each kind that holds many images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = b"".join(map(framed, examples(images)))
    yield "TFRecord", records
    yield "TFRecord.gz", gzip.compress(records, mtime=0)
    labels = [("cat", "dog")[number % 2] for number in range(len(images))]
    plain = {"image": images, "label": labels, "year": list(range(len(images))), "tags": [["a", "b"]] * len(images)}
    hugging = {
        "image": [{"bytes": image, "path": "x.png"} for image in images],
        "label": [number % 2 for number in range(len(images))],
    }
    info = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    tables = (pa.table(plain), pa.table(hugging).replace_schema_metadata({"huggingface": json.dumps(info)}))
    for table, options in zip(
        (*tables, tables[0]),
        ({}, {"compression": "zstd"}, {"compression": "gzip", "use_dictionary": False, "data_page_version": "2.0"}),
        strict=True,
    ):
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=4, **options)
        yield "Parquet", sink.getvalue()
    pixels = np.random.default_rng(1).integers(0, 256, (8, 5, 6), dtype=np.uint8)
    idx = struct.pack(">HBB3I", 0, 8, 3, *pixels.shape) + pixels.tobytes()
    yield "IDX", idx
    yield "IDX", gzip.compress(idx, mtime=0)
    yield (
        "CSV",
        b"path,label,split,site\n"
        + b"".join(
            b'"%d.png",%s,%s,"a, b"\n' % (n, name.encode(), (b"train", b"val", b"test")[n % 3])
            for n, name in enumerate(labels)
        ),
    )


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have the checksums that fit, as far as it has chunks."""
    parts, position = [png[:8]], 8
    while position + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, position)
        body = png[position + 4 : position + 8 + size]
        parts.append(struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body)))
        position += 12 + size
    return b"".join(parts)


def tfds() -> dict[str, bytes]:
    """The two descriptions of a TFDS data set named `pets` with one file of the split `train`."""
    module = "tensorflow_datasets.core.features"
    features = {
        "image": {"pythonClassName": f"{module}.image_feature.Image", "image": {"shape": {"dimensions": ["-1"]}}},
        "label": {"pythonClassName": f"{module}.class_label_feature.ClassLabel", "classLabel": {"numClasses": "2"}},
        "site": {"pythonClassName": f"{module}.text_feature.Text", "text": {}},
        "box": {"pythonClassName": f"{module}.tensor_feature.Tensor", "tensor": {"shape": {"dimensions": ["2"]}}},
    }
    described = {"pythonClassName": f"{module}.features_dict.FeaturesDict", "featuresDict": {"features": features}}
    split = {"name": "train", "shardLengths": ["8"], "numBytes": "2000"}
    split["filepathTemplate"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"  # type: ignore[assignment]
    info = {"name": "pets", "version": "1.0.0", "fileFormat": "tfrecord", "splits": [split]}
    return {"features.json": json.dumps(described).encode(), "dataset_info.json": json.dumps(info).encode()}
