"""The log's files as rows, one file after the other: here, or by Beam where many are new.

Either way a file's rows come in the order of the file, and files in the order of their names, so that windows do not
depend on who read them. Beam's workers leave what they found in small files beside the state; memory holds one of them.
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterator, Sequence

from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.monitoring.drift.rows import Elsewhere, Rows, rows_of_file
from graft.monitoring.drift.watched import References
from graft.monitoring.request_log.reader import Reading

SCRATCH = "scratch"
HANDFUL = 8
"""So many new files are read here: Beam takes some seconds to start."""
_AT_ONCE = 64
"""Files whose rows wait on disk."""


@dataclasses.dataclass
class Part:
    """What a file holds for the model.

    Attributes:
        path: of the file.
        rows: to be used up before `reading` and `elsewhere` are looked at.
        reading, elsewhere: what was met; in `reading` of this file only.
    """

    path: pathlib.Path
    rows: Iterator[Rows]
    reading: Reading
    elsewhere: Elsewhere


@dataclasses.dataclass(frozen=True)
class LogReader:
    """Reads files of a log for one model.

    Attributes:
        model: its name.
        references: of its versions.
        folder: of the monitor.
        beam: options of a Beam pipeline.
    """

    model: str
    references: References
    folder: pathlib.Path
    beam: tuple[str, ...]

    def parts(self, paths: Sequence[pathlib.Path]) -> Iterator[Part]:
        """What the files hold, in their order; each must be used up before the next is asked for.

        Raises:
            GraftError: a file cannot be read, or a reference is at fault.
        """
        if len(paths) <= HANDFUL:
            for path in paths:
                reading, elsewhere = Reading(), Elsewhere()
                yield Part(
                    path, rows_of_file(path, self.model, self.references, reading, elsewhere), reading, elsewhere
                )
            return
        scratch = self.folder / SCRATCH
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(scratch)  # of a monitor that was killed
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            scratch.mkdir()
            try:
                self._run(some, scratch)
                for path in some:
                    yield _part(path, scratch)
            finally:
                shutil.rmtree(scratch)

    def _run(self, paths: Sequence[pathlib.Path], scratch: pathlib.Path) -> None:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        pipeline = beam.Pipeline(options=PipelineOptions(list(self.beam)))
        _ = (
            pipeline
            | "files" >> beam.Create([str(path) for path in paths])
            | "spread" >> beam.Reshuffle()
            | "rows" >> beam.Map(put_rows, self.model, self.references, str(scratch))
        )
        try:
            pipeline.run().wait_until_finish()
        except GraftError as error:  # Beam adds to the message which of its steps ran; that helps nobody
            raise GraftError(str(error).partition(" [while running")[0]) from error


def put_rows(path: str, model: str, references: References, scratch: str) -> None:
    """A step of Beam: writes a file's rows to `scratch`, at last what was met; a repetition does no harm."""
    place, reading, elsewhere = pathlib.Path(path), Reading(), Elsewhere()
    folder, count = pathlib.Path(scratch), 0
    for rows in rows_of_file(place, model, references, reading, elsewhere):
        with (folder / f"{place.name}-{count}.npz").open("wb") as file:
            rows.save(file)
        count += 1
    met = {"reading": dataclasses.asdict(reading), "elsewhere": dataclasses.asdict(elsewhere), "count": count}
    write_atomic(folder / f"{place.name}.json", json.dumps(met).encode())


def _part(path: pathlib.Path, scratch: pathlib.Path) -> Part:
    met = json.loads((scratch / f"{path.name}.json").read_bytes())

    def rows() -> Iterator[Rows]:
        for number in range(met["count"]):
            place = scratch / f"{path.name}-{number}.npz"
            yield Rows.load(place)
            place.unlink()

    return Part(path, rows(), Reading(**met["reading"]), Elsewhere(**met["elsewhere"]))
