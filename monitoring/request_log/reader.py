"""Reads a log: the records of its whole files, with a count of everything that is no sound record."""

import dataclasses
import errno
import hashlib
import pathlib
from collections.abc import Iterable, Iterator

from graft.models.errors import GraftError
from graft.models.tfrecord_file import FRAME, DamagedError, TooLong, read_records, record_at
from graft.monitoring.request_log import log_file
from graft.monitoring.request_log.record import ForeignRecord, Record

OWN = ("labels.sqlite", "labels.sqlite-journal")
"""Files in the folder of a log that are no log files, and no foreign ones."""


@dataclasses.dataclass
class Reading:
    """What was met while a log was read.

    Attributes:
        files: files that were read.
        records: sound records.
        unfinished: files that are being written, or whose writer died; the next writer finishes those.
        damaged: files that are cut or corrupted; what stands before the damage is read.
        gone: files that retention deleted meanwhile.
        foreign_files: other files in the folder.
        foreign_records: records that are too long or that no request log wrote.
        repeated: records of a request that had one already.
        faults: a line for each damaged file, each file with foreign records and each foreign file.
    """

    files: int = 0
    records: int = 0
    unfinished: int = 0
    damaged: int = 0
    gone: int = 0
    foreign_files: int = 0
    foreign_records: int = 0
    repeated: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def files(folder: pathlib.Path, reading: Reading) -> list[pathlib.Path]:
    """The files of a log, oldest first. Raises GraftError if there is no such folder."""
    try:
        found = log_file.files(folder)
        others = {path.name for path in folder.iterdir()} - {path.name for path in found}
    except OSError as error:
        raise GraftError(f"{folder}: {error.strerror}; it must be the folder of a request log") from error
    for name in sorted(others.difference(OWN)):
        if log_file.is_ours(name):
            reading.unfinished += 1
        else:
            reading.foreign_files += 1
            reading.faults.append(f"{folder / name}: no file of a request log: not read")
    return found


def read(folder: pathlib.Path, reading: Reading) -> Iterator[Record]:
    """All sound records of a log, oldest file first; adds to `reading`. Raises GraftError for no such folder."""
    for path in files(folder, reading):
        yield from read_file(path, reading)


def read_file(path: pathlib.Path, reading: Reading) -> Iterator[Record]:
    """The sound records of one file; adds to `reading`. Raises GraftError if it cannot be opened or read."""
    foreign = end = 0
    try:
        for content in read_records(path, log_file.MOST_BYTES):
            begin = end
            end += FRAME + (content.length if isinstance(content, TooLong) else len(content))
            try:
                if isinstance(content, TooLong):
                    raise ForeignRecord(f"{content.length} bytes; at most {log_file.MOST_BYTES} are read")
                record = Record(content, begin)
            except ForeignRecord as error:
                foreign += 1
                if foreign == 1:
                    reading.faults.append(f"{path}: {error}")
                continue
            reading.records += 1
            yield record
    except DamagedError as error:
        reading.damaged += 1
        reading.faults.append(f"{path}: {error}; what stands before that was read")
    except OSError as error:
        if error.errno == errno.ENOENT:
            reading.gone += 1
            return
        raise GraftError(f"{path}: {error.strerror}") from error
    finally:
        reading.foreign_records += foreign
    reading.files += 1


def read_again(path: pathlib.Path, offset: int) -> Record | None:
    """A record that `read_file` gave, by its `offset`; None where it is there no more. Raises GraftError."""
    try:
        content = record_at(path, offset, log_file.MOST_BYTES)
        return None if isinstance(content, TooLong) else Record(content, offset)
    except (FileNotFoundError, DamagedError, ForeignRecord):
        return None
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}") from error


def once(records: Iterable[Record], reading: Reading) -> Iterator[Record]:
    """Each request once, the first record of its id; counts the others as `repeated`.

    An attempt that failed and one that was answered may have one id, as of a client that tries again: both are given.
    Memory holds some 100 bytes a request.
    """
    seen: set[bytes] = set()
    for record in records:
        key = hashlib.blake2b(record.request_id.encode(), digest_size=16).digest() + bytes([record.answered])
        if key in seen:
            reading.repeated += 1
            continue
        seen.add(key)
        yield record
