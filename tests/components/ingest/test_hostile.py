"""Every file of the hostile collection: used by the rule, or rejected with its reason, within 1 GiB."""

import json
import shutil
import subprocess
import sys

import pytest
from PIL import features

pytestmark = pytest.mark.slow

LIBTIFF = tuple(int(part) for part in features.version_codec("libtiff").split("."))
"""Version of the one within Pillow: 4.7.2 goes on where 4.7.1 stops."""

EXPECTED = {
    # made by cutting, renaming or editing
    "UPPER.JPG": "used",
    "jpeg_named.png": "used",
    "no_extension": "used",
    "gif_named.jpg": "used",
    "png_named.jpg": "used",
    "jpeg_trailing_garbage.jpg": "used",
    "png_bad_crc.png": "used",  # libpng, as TensorFlow uses it, passes over a wrong CRC; so does serving
    "bomb_40000x40000_1bit.png": "too_many_pixels",
    "html_named.jpg": "unknown_type",
    "text_only.png": "unknown_type",
    "zero_byte.jpg": "empty",
    "jpeg_cut.jpg": "corrupt",
    "jpeg_header_only.jpg": "corrupt",
    # Pillow's tests
    "crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": "corrupt",
    "crash-0da013a13571cc8eb457a39fee8db18f8a3c7127.tif": "used"
    if LIBTIFF >= (4, 7, 2)
    else "corrupt",  # a bad code word of a fax
    "crash-0e16d3bfb83be87356d026d66919deaefca44dac.tif": "corrupt",
    "hopper.Lab.tif": "unsupported_type",
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "corrupt",
    "decompression_bomb.ico": "unsupported_type",
    "decompression_bomb.gif": "too_many_pixels",
    "decompression_bomb_extents.gif": "used",  # the second frame lies 65535 pixels aside; only the first is shown
    "png_decompression_dos.png": "used",  # a bomb in a text chunk, which the decoder never unpacks
    "broken.png": "corrupt",
    "broken_data_stream.png": "corrupt",
    "no_palette.gif": "corrupt",
    "truncated_image.png": "corrupt",
    "truncated_jpeg.jpg": "corrupt",
    "zero_width.gif": "corrupt",
    "unknown_compression_method.png": "used",
}
"""Files not named here are plain or odd images that are used: 16 bits, palette, alpha, CMYK, animated, TIFF, WebP."""

RUN = """
import json, resource, sys, threading, time
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.ingest import ingestion
from graft.components.ingest.request import make_request
from graft.components.ingest.sources import parse_options
import psutil

def run(path, out):
    make = lambda: beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS)))
    asked = make_request(parse_options({"source": "image_folder", "path": path}))
    return ingestion.ingest(asked, out + "/e", out + "/r", make)

run(sys.argv[1], sys.argv[3] + "/warm")  # imports and compiled graphs are no memory of the images
before = psutil.Process().memory_info().rss
peak, done = [before], threading.Event()
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], psutil.Process().memory_info().rss)
watcher = threading.Thread(target=watch)
watcher.start()
start = time.monotonic()
run(sys.argv[2], sys.argv[3] + "/hostile")
done.set(); watcher.join()
print(json.dumps({"extra": peak[0] - before, "seconds": time.monotonic() - start}))
"""


@pytest.fixture(scope="module")
def hostile_run(graft_data, tmp_path_factory, encode):
    """The hostile files as one class beside a good one, ingested in a process of its own."""
    root = tmp_path_factory.mktemp("hostile")
    hostile = root / "data" / "hostile"
    hostile.mkdir(parents=True)
    for path in sorted((graft_data / "hostile_images").rglob("*")):
        if path.is_file():
            shutil.copy(path, hostile / path.name)
    for folder in ("data/good", "warm/good", "warm/fine"):
        (root / folder).mkdir(parents=True)
        for seed in range(60):
            number = seed + 100 * (folder == "warm/fine")
            (root / folder / f"{number}.png").write_bytes(encode(number, "JPEG" if seed % 2 else "PNG"))
    process = subprocess.run(
        [sys.executable, "-c", RUN, str(root / "warm"), str(root / "data"), str(root / "out")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return root / "out" / "hostile", json.loads(process.stdout.splitlines()[-1]), process.stderr


def test_each_file_is_used_or_rejected_as_expected(hostile_run, graft_data):
    from graft.components.ingest.summary import read_rejected, read_summary

    out, _, _ = hostile_run
    reasons = {row["file"].removeprefix("hostile/"): row["reason"] for row in read_rejected(str(out / "r"))}
    names = [path.name for path in (graft_data / "hostile_images").rglob("*") if path.is_file()]
    assert {name: reasons.get(name, "used") for name in names} == {name: EXPECTED.get(name, "used") for name in names}
    assert set(EXPECTED) <= set(names)
    assert read_summary(str(out / "r")).total == len(names) + 60


def test_each_rejection_says_what_was_found(hostile_run):
    from graft.components.ingest.summary import read_rejected

    out, _, _ = hostile_run
    details = {row["file"].removeprefix("hostile/"): row["detail"] for row in read_rejected(str(out / "r"))}
    assert all(details.values())
    assert details["hopper.Lab.tif"].startswith("TIFF of photometric interpretation 8; converted: ")
    assert details["oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif"].startswith("the file ends within its header")
    assert details["html_named.jpg"] == "HTML"
    assert "40000 x 40000" in details["bomb_40000x40000_1bit.png"]


def test_memory_and_time_stay_small(hostile_run):
    _, figures, _ = hostile_run
    assert figures["extra"] < 2**30
    assert figures["seconds"] < 60


def test_no_warning_of_a_library_leaks(hostile_run):
    _, _, stderr = hostile_run
    assert "DecompressionBomb" not in stderr
    assert "Traceback" not in stderr
