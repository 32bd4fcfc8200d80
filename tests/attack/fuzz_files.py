"""Mutated files of every kind against the functions by which a run reads them: no crash, no hang, no traceback.

    python tests/attack/fuzz_files.py [--files 20000] [--seed 0] [--time-limit 1800] [--keep FOLDER]

Each file goes through what `graft run` calls (quick check, fingerprint, chunks, decoding, shards; or the loading of a
configuration) in a process with a limit of memory. It is used, quarantined with a reason, or refused with one message;
all else is a failure: exit 1, and the file is kept. The same seed makes the same files.
"""

import argparse
import collections
import gzip
import os
import pathlib
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for what the tests share

KINDS = (
    *("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"),
    *("TFRecord", "TFRecord.gz", "Parquet", "IDX", "CSV", "TFDS", "config", "folders"),
)
MEMORY = 2**31
"""Bytes beyond the imports; 64 million pixels, the most that are decoded, take less than half."""

SECONDS = 60
"""A small file that takes longer hangs."""

_EXTREMES = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**60, 2**63, 2**64 - 1)


class Mutator:
    """Changes bytes by a random generator."""

    def __init__(self, generator: random.Random, others: list[bytes]):
        self._random, self._others = generator, others

    def mutate(self, content: bytes) -> bytes:
        """Mostly one or two changes; now and then none, which shows that the file would be used."""
        changes = (
            self._flip,
            self._flip,
            self._extreme,
            self._extreme,
            self._cut,
            self._splice,
            self._insert,
            self._drop,
        )
        for _ in range(self._random.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 4))):
            content = self._random.choice(changes)(content)
        return content

    def _place(self, content: bytes) -> int:
        """Mostly where headers and footers are."""
        ends = self._random.choice((len(content), 64, 256, -512))
        low, high = (max(0, len(content) + ends), len(content)) if ends < 0 else (0, min(ends, len(content)))
        return self._random.randint(low, high)

    def _flip(self, content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(self._random.choice((1, 1, 2, 16))):
            if changed:
                changed[min(self._place(content), len(changed) - 1)] ^= 1 << self._random.randrange(8)
        return bytes(changed)

    def _extreme(self, content: bytes) -> bytes:
        size = self._random.choice((1, 2, 4, 8))
        value = (self._random.choice(_EXTREMES) % 256**size).to_bytes(size, self._random.choice(("little", "big")))
        place = self._place(content)
        return content[:place] + value + content[place + size :]

    def _cut(self, content: bytes) -> bytes:
        return content[: self._place(content)]

    def _splice(self, content: bytes) -> bytes:
        other = self._random.choice(self._others)
        return content[: self._place(content)] + other[self._place(other) :]

    def _insert(self, content: bytes) -> bytes:
        place, start = self._place(content), self._place(content)
        piece = self._random.choice((content[start : start + 64], self._random.randbytes(8), bytes(100)))
        return content[:place] + piece * self._random.choice((1, 1, 3, 100)) + content[place:]

    def _drop(self, content: bytes) -> bytes:
        place = self._place(content)
        return content[:place] + content[place + self._random.choice((1, 4, 50)) :]


class Cases:
    """Writes the files of a case and passes them on; the same number and seed make the same files."""

    def __init__(self, seed: int, folder: pathlib.Path):
        import fuzz_seeds

        self._seed, self._folder = seed, folder
        pictures = fuzz_seeds.pictures()
        self._seeds: dict[str, list[bytes]] = collections.defaultdict(list, pictures)
        self._images = [pictures["PNG"][n % 6] if n % 2 else pictures["JPEG"][n % 4] for n in range(8)]
        for kind, content in fuzz_seeds.containers(self._images):
            self._seeds[kind].append(content)
        self._records = fuzz_seeds.examples(self._images)
        self._seeds["config"] = [fuzz_seeds.CONFIG.encode()]
        self._described = fuzz_seeds.tfds()
        self._framed, self._with_checksums = fuzz_seeds.framed, fuzz_seeds.with_checksums

    def write(self, number: int) -> tuple[str, pathlib.Path]:
        """Writes the case and returns its kind and its folder, which is empty before."""
        generator = random.Random(f"{self._seed}:{number}")
        kind = KINDS[number % len(KINDS)]
        folder = self._folder / f"case-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mutator = Mutator(generator, self._seeds[kind] or list(self._described.values()))
        if kind == "TFDS":
            self._write_tfds(folder / "pets" / "1.0.0", generator, mutator)
        elif kind == "folders":
            self._write_folders(folder, generator)
        else:
            content = self._mutated(kind, generator.choice(self._seeds[kind]), generator, mutator)
            (folder / "file").write_bytes(content)
            if kind == "IDX":
                count = generator.choice((8, 8, 8, 7, 2**32 - 1)).to_bytes(4, "big")
                (folder / "labels").write_bytes(b"\0\0\x08\x01" + count + bytes([0, 1] * 4))
            for name, image in enumerate(self._images if kind == "CSV" else []):
                (folder / f"{name}.png").write_bytes(image)
        return kind, folder

    def _mutated(self, kind: str, content: bytes, generator: random.Random, mutator: Mutator) -> bytes:
        """Half of the files have sound checksums and sound compression around what is changed."""
        if generator.random() < 0.5:
            if kind == "PNG":
                return self._with_checksums(mutator.mutate(content))
            if kind.startswith("TFRecord"):
                records = [mutator.mutate(one) if generator.random() < 0.1 else one for one in self._records]
                claimed = generator.choice((*[None] * len(_EXTREMES), *_EXTREMES))
                whole = b"".join(map(self._framed, records)) + self._framed(self._records[0], claimed)
                return gzip.compress(whole, mtime=0) if kind.endswith("gz") else whole
            if content[:2] == b"\x1f\x8b":
                return gzip.compress(mutator.mutate(gzip.decompress(content)), mtime=0)
        return mutator.mutate(content)

    def _write_tfds(self, folder: pathlib.Path, generator: random.Random, mutator: Mutator) -> None:
        folder.mkdir(parents=True)
        described = dict(self._described)
        name = generator.choice(list(described))
        described[name] = mutator.mutate(described[name])
        records = b"".join(map(self._framed, self._records))
        described["pets-train.tfrecord-00000-of-00001"] = (
            mutator.mutate(records) if generator.random() < 0.2 else records
        )
        described["label.labels.txt"] = generator.choice((b"cat\ndog\n", b"", b"\xff\n", b"cat\r\n\0\ndog"))
        for name, content in described.items():
            (folder / name).write_bytes(content)

    def _write_folders(self, folder: pathlib.Path, generator: random.Random) -> None:
        folders = [folder]
        for _ in range(generator.randint(2, 8)):
            name = generator.choice(
                (b"cat", b"train", b"val", b"test", b".x", b"a" * 200, b"\xff\xfe", b"\n", b"\x1b[2J")
            )
            name += bytes(letter for letter in generator.randbytes(generator.randint(0, 6)) if letter not in b"\0/")
            path = pathlib.Path(os.fsdecode(os.fsencode(generator.choice(folders)) + b"/" + name))
            what = generator.choice(("folder", "folder", "link", "fifo", "dangling", "image"))
            if os.path.lexists(path):
                continue
            if what == "folder":
                path.mkdir()
                folders.append(path)
                (path / f"{generator.randrange(9)}.png").write_bytes(generator.choice(self._images))
            elif what == "link":
                path.symlink_to(generator.choice(folders))
            elif what == "fifo":
                os.mkfifo(path)
            elif what == "dangling":
                path.symlink_to(generator.choice(("nowhere", path.name, "/dev/null")))
            else:
                path.write_bytes(generator.choice(self._images))

    def run(self, kind: str, folder: pathlib.Path) -> str:
        """Passes a case to what reads it; returns `used`, `quarantined REASON` or `refused`."""
        from graft.models.errors import GraftError
        from graft.pipeline import config

        if kind == "config":
            try:
                config.load(folder / "file")
            except GraftError as error:
                return self._told(error)
            return "used"
        if kind == "folders":
            return self._ingest(folder, {"source": "image_folder", "path": str(folder)})
        file = str(folder / "file")
        if kind in self._seeds and kind in KINDS[:6]:
            return self._ingest(folder, {"source": "csv", "path": self._listing(folder)})
        more = {
            "TFDS": {"path": str(folder), "name": "pets", "split": {"from_train": True}},
            "IDX": {"path": str(folder), "pairs": [{"images": "file", "labels": "labels"}]},
        }.get(kind, {"path": file})
        return self._ingest(folder, {"source": kind.lower().removesuffix(".gz")} | more)

    @staticmethod
    def _listing(folder: pathlib.Path) -> str:
        (folder / "listing").write_text("path,label\nfile,cat\n")
        return str(folder / "listing")

    def _ingest(self, folder: pathlib.Path, data: dict) -> str:
        """What a run calls: the quick check, the fingerprint, then each chunk to its working shard."""
        from graft.components.ingest import shards, sources
        from graft.components.ingest.fingerprint import fingerprint
        from graft.components.ingest.preflight import check_source
        from graft.components.ingest.request import make_request
        from graft.components.ingest.spans import open_sources
        from graft.components.ingest.transforms import ListChunks, WriteChunk
        from graft.models.errors import GraftError

        asked = make_request(sources.parse_options(data))
        refused = None
        for look in (check_source, fingerprint):
            try:
                look(asked)
            except GraftError as error:
                refused = refused or self._told(error)
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        ((_, source),) = open_sources(asked)
        for name, chunk in ListChunks(str(work)).process((0, source)):
            list(WriteChunk(asked, str(work)).process((name, [chunk])))
        if any(shards.read_notes(str(work), "error-")):
            return "refused"
        reasons = [row[2] for note in shards.read_notes(str(work), "chunk-") for row in note["rejected"]]
        return f"quarantined {reasons[0]}" if reasons else "used" if data["source"] == "csv" else refused or "used"

    @staticmethod
    def _told(error: Exception) -> str:
        assert str(error) and "Traceback" not in str(error) and len(str(error)) < 100_000, "no message for people"
        return "refused"


def serve(seed: int, folder: pathlib.Path, first: int, end: int) -> None:
    """Runs cases and writes a line after each: number, kind, outcome."""
    cases = Cases(seed, folder)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cases.run(*cases.write(0))  # graphs are compiled once, and are no memory of a file
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        used = int(file.read().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, hard))
    for number in range(first, end):
        kind, case = cases.write(number)
        try:
            outcome = cases.run(kind, case)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(f"{type(error).__name__} at {last.filename}:{last.lineno}: {error}".split())
            outcome = "failed " + text[:500]
        else:
            shutil.rmtree(case)
        answers.write(f"{number}\t{kind}\t{outcome}\n")
        answers.flush()


class Run:
    """Starts processes for the cases, one after the other, and counts."""

    def __init__(self, files: int, seed: int, time_limit: float, keep: pathlib.Path):
        self.files, self.seed, self.keep = files, seed, keep
        self.done = 0
        self.counts: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in KINDS}
        self.failures: list[str] = []
        self._end = time.monotonic() + time_limit

    def go(self) -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            folder = pathlib.Path(name)
            while self.done < self.files and time.monotonic() < self._end:
                self._one_process(folder)

    def _one_process(self, folder: pathlib.Path) -> None:
        command = [sys.executable, __file__, "--serve", str(folder), "--seed", str(self.seed)]
        command += ["--first", str(self.done), "--files", str(self.files)]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "0"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        assert process.stdout is not None
        seconds = 3 * SECONDS  # imports
        reason = ""
        try:
            while self.done < self.files and time.monotonic() < self._end:
                if not select.select([process.stdout], [], [], seconds)[0]:
                    reason = f"hang: more than {seconds} s"
                    break
                line = self._line(process.stdout.fileno())
                if not line:
                    reason = f"crash: exit code {process.wait()}"
                    break
                self._count(*line.split("\t"), folder)
                seconds = SECONDS
        finally:
            process.kill()
            process.wait()
        if reason:
            self._count(str(self.done), KINDS[self.done % len(KINDS)], f"failed {reason}", folder)

    @staticmethod
    def _line(descriptor: int) -> str:
        """One line, byte by byte: nothing may wait in a buffer that `select` does not see."""
        letters = b""
        while (letter := os.read(descriptor, 1)) not in (b"", b"\n"):
            letters += letter
        return letters.decode()

    def _count(self, number: str, kind: str, outcome: str, folder: pathlib.Path) -> None:
        self.done = int(number) + 1
        if outcome.startswith("failed"):
            kept = self.keep / f"seed-{self.seed}-case-{number}-{kind}"
            shutil.rmtree(kept, ignore_errors=True)
            if (folder / f"case-{number}").exists():
                subprocess.run(["cp", "-a", str(folder / f"case-{number}"), str(kept)], check=True)
            self.failures.append(f"case {number} ({kind}), kept in {kept}: {outcome}")
            outcome = "failed"
        self.counts[kind][outcome] += 1

    def table(self, seconds: float) -> str:
        lines = [f"{'kind':12}{'files':>8}{'used':>8}{'quarantined':>13}{'refused':>9}{'failed':>8}"]
        total: collections.Counter[str] = collections.Counter()
        reasons: collections.Counter[str] = collections.Counter()
        for kind, counts in self.counts.items():
            row: collections.Counter[str] = collections.Counter()
            for outcome, count in counts.items():
                row[outcome.split()[0]] += count
                if outcome.startswith("quarantined"):
                    reasons[outcome.split()[1]] += count
            total += row
            lines.append(self._row(kind, row))
        lines.append(self._row("all", total))
        lines.append("quarantined: " + ", ".join(f"{name} {count}" for name, count in reasons.most_common()))
        short = "" if self.done == self.files else f", of {self.files}: the time is over"
        lines.append(f"{self.done} files{short}, seed {self.seed}, {seconds:.0f} s, {len(self.failures)} failures")
        return "\n".join(lines)

    @staticmethod
    def _row(name: str, row: collections.Counter) -> str:
        widths = {"used": 8, "quarantined": 13, "refused": 9, "failed": 8}
        return f"{name:12}{row.total():8}" + "".join(f"{row[key]:{width}}" for key, width in widths.items())


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; returns 1 where a file failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=1800, help="seconds")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("fuzz-failures"), help="for files that fail")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--serve", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve(options.seed, options.serve, options.first, options.files)
        return 0
    start = time.monotonic()
    options.keep.mkdir(parents=True, exist_ok=True)
    run = Run(options.files, options.seed, options.time_limit, options.keep)
    run.done = options.first
    run.go()
    if not any(options.keep.iterdir()):
        options.keep.rmdir()
    print(run.table(time.monotonic() - start))
    print("\n".join(run.failures), file=sys.stderr, end="\n" if run.failures else "")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
