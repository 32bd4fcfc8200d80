"""A folder a class: `path/<class>/**/<image>`, or `path/<split>/<class>/**/<image>`."""
# ruff: noqa: PTH114, PTH116, PTH118, PTH120
# os.scandir and os.path, for names that are many: a Path costs as much as reading a small file.

import os
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from graft.components.ingest.options import FolderOptions
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, as_text
from graft.components.ingest.sources.files import FileRef, file_chunks
from graft.components.ingest.splits import parse_split
from graft.models.errors import GraftError
from graft.models.text import located

_SHOWN = 200
"""Characters of a path that a message shows."""


class Options(FolderOptions):
    """A folder for each class: `path/<class>/**/<file>`, or `path/<split>/<class>/**/<file>`."""

    labels_from: ClassVar = "each class is a folder"

    source: Literal["image_folder"] = Field("image_folder", description="A folder for each class.")

    @property
    def splits_from(self) -> str:
        """Folders above those of the classes."""
        return "put the class folders into folders train, eval and test"


class Source(base.Source):
    """Class folders, read recursively.

    Hidden files are skipped. Links are followed, but a folder is read once: not in a circle, and not again under a
    second name. Under two classes or splits it is an error, for nobody can say which is meant.

    Where all folders of the first level are named like splits and one of them is train, they are the splits and the
    classes are a level below. Where train and another split stand beside folders of other names, nobody can say which
    of the two is meant: an error. Examples that lie beside the class folders have no label;
    other files there (a README, a licence) are none of ours.
    """

    def files(self) -> Iterator[str]:
        for ref in self._refs():
            yield os.path.join(self.path, ref.path)

    def entries(self) -> Iterator[About]:
        for ref in self._refs():
            yield ref.about

    def chunks(self) -> Iterator[Chunk]:
        yield from file_chunks(self.path, list(self._refs()), self.request.input.limit, self.prefix)

    def _refs(self) -> Iterator[FileRef]:
        if self.request.place is not None and not self.request.place.labelled:
            yield from self._unlabelled()
            return
        folders = [entry for entry in _scan(self.path) if _is_folder(entry)]
        if not folders:
            raise GraftError(f"{as_text(self.path)}: holds no folders; source image_folder needs one for each class")
        splits = [parse_split(entry.name) for entry in folders]
        others = [as_text(entry.name) for entry, split in zip(folders, splits, strict=True) if split is None]
        named = [entry.name for entry, split in zip(folders, splits, strict=True) if split]
        if others and "train" in splits and len(set(splits) - {None}) > 1:
            raise GraftError(
                f"data.path {located(self.path)}: the folders {', '.join(named)} are named like splits, "
                f"{len(others)} beside them are not ({', '.join(map(repr, others[:10]))}); move those away, "
                f"or rename {', '.join(named)} if they are classes"
            )
        walk = _Walk(self.path)
        if all(splits) and "train" in splits:
            for entry, split in zip(folders, splits, strict=True):
                yield from self._classes(walk, entry.path, f"{entry.name}/", split)
        else:
            yield from self._classes(walk, self.path, "", None)

    def _unlabelled(self) -> Iterator[FileRef]:
        """What lies there at any depth, whatever the folders are called."""
        walk, about = _Walk(self.path), base.named("", None, self.request)
        for entry in _scan(self.path):
            if _is_folder(entry):
                for path in walk.files(entry.path, entry.name):
                    yield FileRef(path, about)
            elif entry.name.lower().endswith(self.request.input.suffixes):
                yield FileRef(entry.name, about)

    def _classes(self, walk: "_Walk", folder: str, above: str, split: str | None) -> Iterator[FileRef]:
        for entry in _scan(folder):
            if _is_folder(entry):
                about = base.named(as_text(entry.name), split, self.request)
                for path in walk.files(entry.path, f"{above}{entry.name}"):
                    yield FileRef(path, about)
            elif entry.name.lower().endswith(self.request.input.suffixes):
                yield FileRef(above + entry.name, base.named("", split, self.request))


class _Visit(NamedTuple):
    """Where a folder was met: the class folder it is part of, its own path, and whether a link led there."""

    place: str
    path: str
    linked: bool


class _Walk:
    """Lists files below class folders and remembers the folders, by device and inode."""

    def __init__(self, root: str):
        self._root = root
        self._seen: dict[tuple[int, int], _Visit] = {}

    def files(self, folder: str, place: str) -> Iterator[str]:
        """Files below a class folder.

        Args:
          folder: The class folder.
          place: Its path below the root.

        Yields:
          Paths below the root.

        Raises:
          GraftError: A folder may not be read, or was met in another class folder.
        """
        circle = {self._identity(self._root), self._identity(os.path.dirname(folder))}
        # No recursion: folders may be a thousand deep.
        visits = [_Visit(place, place, os.path.islink(folder))]
        open_folders = [iter(self._enter(visits[0], circle))]
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
                visits.pop()
                continue
            path = f"{visits[-1].path}/{entry.name}"
            if _is_folder(entry):
                visits.append(_Visit(place, path, visits[-1].linked or entry.is_symlink()))
                open_folders.append(iter(self._enter(visits[-1], circle)))
            else:
                yield path

    def _enter(self, visit: _Visit, circle: set[tuple[int, int]]) -> list[os.DirEntry]:
        """What is in a folder; nothing where it was read before."""
        folder = os.path.join(self._root, visit.path)
        identity = self._identity(folder)
        before = self._seen.setdefault(identity, visit)
        # Without a link on the way no folder is met twice, whatever a file system gives as its number.
        if visit.linked or before.linked:
            if identity in circle:
                return []
            if before.place != visit.place:
                raise GraftError(
                    f"data.path {located(self._root)}: {as_text(before.path)!r} and {as_text(visit.path)!r} are one "
                    "folder, linked under two classes or splits; remove one of them"
                )
            if before is not visit:
                return []
        return _scan(folder)

    @staticmethod
    def _identity(folder: str) -> tuple[int, int]:
        try:
            status = os.stat(folder)
        except OSError as error:
            raise _unreadable(folder, error) from error
        return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: no folder, and reading it will tell the reason
        return False


def _scan(folder: str) -> list[os.DirEntry]:
    """Entries of `folder` that are not hidden, ordered by the bytes of their names."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    return sorted(shown, key=lambda entry: os.fsencode(entry.name))


def _unreadable(folder: str, error: OSError | ValueError) -> GraftError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)  # ValueError: a NUL in the name
    name = located(folder)
    if len(name) > _SHOWN:
        name = f"{name[:_SHOWN]}... ({len(name)} characters)"
    return GraftError(f"data.path {name}: {reason}; it must be a folder that may be read")
