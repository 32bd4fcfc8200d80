"""Rows a second and peak memory of `graft monitor` over a log of many requests.

    python -m benchmarks.monitor [--rows 100000] [--pictures 10000] [--json]

Each line is one command in a process of its own over a log that was made for it: texts of some 30 words, and JPEG files
of 64 x 64 pixels. Peak memory is that process's, which holds Python, SciPy and, where there are more than a handful of
files, Beam. Texts are measured twice, the second time with a tenth of the rows: memory should not follow them. The
first 64 requests of every file but the first repeat those of the file before, and must not be counted.
"""

import argparse
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

NAME = "m"
REPEATED = 64
_BEGIN = 1_700_000_000.0
_FILES = 20


def _texts(rng: np.random.Generator) -> bytes:
    words = ["parcel", "came", "early", "nobody", "answers", "phone", "form", "error", "thanks", "refund", "late"]
    return " ".join(rng.choice(words, rng.integers(10, 50))).encode()


def _pictures(rng: np.random.Generator) -> bytes:
    from PIL import Image

    pixels = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))) + rng.normal(0, 8, (64, 64, 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


KINDS: dict[str, tuple[str, Callable[[np.random.Generator], bytes]]] = {
    "text": ("text", _texts),
    "image": ("image_bytes", _pictures),
}


def _answers(rng: np.random.Generator, rows: int) -> np.ndarray:
    first = rng.beta(4, 1, rows).astype(np.float32)
    return np.stack([first, 1 - first], axis=1)


def make_store(folder: pathlib.Path, kind: str, contents: list[bytes], rng: np.random.Generator) -> None:
    """A store of one version, with a reference and without a network."""
    from graft.models import inputs, targets
    from graft.models.signals.collect import Collector
    from graft.models.signals.reference import PLACE
    from graft.serving.store import open_store

    input = inputs.make_input(inputs.parse_options({"kind": kind}))
    collector = Collector(input, input.learned(contents[:500]))
    for content in contents:
        collector.see(content, input.admit(content))
    target = targets.make_target(targets.parse_options({"kind": "label"}), ("a", "b"))
    export = folder / "export"
    (export / "assets.extra").mkdir(parents=True)
    (export / "saved_model.pb").write_bytes(b"none")
    answers = _answers(rng, len(contents))
    truth = (rng.random(len(contents)) > answers[:, 0]).astype(np.int64)
    collector.reference(target, truth, answers, {}).save(export / PLACE)
    open_store(folder / "store").push(NAME, export, {})


def write_log(folder: pathlib.Path, kind: str, contents: list[bytes], rows: int, rng: np.random.Generator) -> None:
    """Files of the log, each with the beginning of the one before it again; contents come again and again."""
    import grpc

    from graft.models.tfrecord_file import framed
    from graft.monitoring.request_log.fields import Fields
    from graft.monitoring.request_log.log_file import LogFile
    from graft.monitoring.request_log.options import Options
    from graft.monitoring.request_log.record import encode
    from graft.serving.observers import Served

    folder.mkdir()
    fields, again, name = Fields(Options(folder=str(folder))), b"", KINDS[kind][0]
    for start in range(0, rows, -(-rows // _FILES)):
        file, framed_records = LogFile(folder), []
        count = min(-(-rows // _FILES), rows - start)
        answers = _answers(rng, count)
        for place in range(count):
            content = np.empty(1, object)
            content[0] = contents[(start + place) % len(contents)]
            served = Served(
                *(NAME, 1, "serving_default", {name: content}, {"probabilities": answers[place : place + 1]}),
                *(grpc.StatusCode.OK, 0.01, "grpc", _BEGIN + start + place, f"r{start + place}"),
            )
            framed_records.append(framed(encode(served, (), fields, 1.0, 2**20)[0]))
        file.append(again + b"".join(framed_records))
        again = b"".join(framed_records[:REPEATED])
        file.finish()


def watch(folder: pathlib.Path, kind: str, rows: int) -> dict:
    """Runs the command over a new log; raises RuntimeError where it does not count what is there."""
    rng = np.random.default_rng(0)
    contents = [KINDS[kind][1](rng) for _ in range(1000)]
    make_store(folder, kind, contents, rng)
    write_log(folder / "log", kind, contents, rows, rng)
    config = folder / "c.yaml"
    config.write_text(
        f"name: {NAME}\ndata: {{source: csv, path: d.csv}}\ninput: {{kind: {kind}}}\nbackbone: {{handle: b}}\n"
        f"store: {folder}/store\nroot: {folder}/runs\n"
        f"monitoring: {{request_log: {{folder: {folder}/log}}, drift: {{window: {{rows: 10000}}}}}}\n"
    )
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "graft.pipeline.cli", "monitor", str(config), "--json"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    found = json.loads(said)
    if found.get("totals", {}).get("requests") != rows:
        raise RuntimeError(f"{rows} requests were to be counted: {said[:2000]!r}")
    return {
        "kind": kind,
        "rows": rows,
        "files": found["totals"]["files"],
        "repeated": found["totals"]["repeated"],
        "windows": len(found["windows"]),
        "log_mb": round(sum(path.stat().st_size for path in (folder / "log").iterdir()) / 1e6, 1),
        "seconds": round(seconds, 2),
        "rows_per_s": round(rows / seconds),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1000),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="texts")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.rows < 1000 or options.pictures < 1000:
        print("--rows and --pictures must be at least 1000", file=sys.stderr)
        return 1
    result = []
    for kind, rows in (("text", options.rows // 10), ("text", options.rows), ("image", options.pictures)):
        with tempfile.TemporaryDirectory() as folder:
            result.append(watch(pathlib.Path(folder), kind, rows))
    if options.json:
        print(json.dumps({"cores": len(os.sched_getaffinity(0)), "measured": result}))
        return 0
    print("| " + " | ".join(result[0]) + " |\n|" + "---|" * len(result[0]))
    for row in result:
        print(
            "| " + " | ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()) + " |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
