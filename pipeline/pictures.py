"""Small pictures for the report, as data URIs.

Pillow decodes them, upright and with nothing clear as the model decodes it: tracing that graph takes seconds.
"""

import base64
import io
from collections.abc import Collection, Iterable

import numpy as np
from PIL import Image, ImageOps

from graft.models.errors import GraftError
from graft.models.examples import DIGEST, FILE, INPUT, LABEL, read_examples, split_files

SIDE = 96
"""Longest side of a picture, pixels."""
_MOST_READ = 5000  # examples looked at for samples: a class that is rarer shows fewer


def thumbnail(encoded: bytes) -> str:
    """A data URI of an image, at most `SIDE` pixels wide and high; a small image keeps its pixels.

    Args:
        encoded: bytes of an image file that ingestion took.
    """
    image = _decode(encoded)
    written = io.BytesIO()
    if max(image.size) <= SIDE:
        image.save(written, "PNG")
        return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
    image.thumbnail((SIDE, SIDE))
    image.save(written, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode()


def samples(examples_uri: str, split: str, classes: Collection[str], per_class: int = 3) -> dict[str, list[str]]:
    """The first images of each class, in the order of the shards.

    Args:
        examples_uri: the `Examples` of `ingest`.
        split: the split to read.
        classes: names of the classes to show.
        per_class: images of each.

    Returns:
        data URIs by class.
    """
    found: dict[str, list[str]] = {name: [] for name in classes}
    wanted = per_class * len(found)
    rows = read_examples(split_files(examples_uri, split), (INPUT, LABEL))
    for _, row in zip(range(_MOST_READ), rows, strict=False):
        pictures = found.get(row[LABEL][0])
        if pictures is not None and len(pictures) < per_class:
            pictures.append(thumbnail(row[INPUT]))
            wanted -= 1
        if not wanted:
            break
    return found


def rows_at(examples_uri: str, split: str, sha256: dict[int, bytes]) -> dict[int, tuple[str, str]]:
    """The examples at some places of a split.

    Args:
        examples_uri: the `Examples` of `ingest`.
        split: the split to read.
        sha256: hex digest that is expected at each place, from 0.

    Returns:
        place -> (file name, data URI of the image).

    Raises:
        GraftError: another image lies there; the predictions are of other examples.
    """
    found: dict[int, tuple[str, str]] = {}
    rows: Iterable[dict[str, bytes]] = read_examples(split_files(examples_uri, split), (INPUT, FILE, DIGEST))
    for place, row in zip(range(max(sha256, default=-1) + 1), rows, strict=False):
        if place not in sha256:
            continue
        if row[DIGEST] != sha256[place]:
            raise GraftError(f"{examples_uri}: row {place} of {split} is not the image that was predicted there")
        found[place] = (row[FILE].decode("utf-8", "replace"), thumbnail(row[INPUT]))
    if len(found) < len(sha256):
        raise GraftError(f"{examples_uri}: split {split} has fewer rows than were predicted")
    return found


def _decode(encoded: bytes) -> Image.Image:
    """An RGB image."""
    image: Image.Image = Image.open(io.BytesIO(encoded))
    image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG only: unpacks no more than is shown
    if image.format == "JPEG":
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey: the high byte
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # TensorFlow's GIF decoder leaves black where a pixel is clear.
        behind = Image.new("RGBA", image.size, "black" if image.format == "GIF" else "white")
        return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
