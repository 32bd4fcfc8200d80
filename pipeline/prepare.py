"""Before a run: paths that TensorFlow can read, and what the cache keys need to know of code, backbone and schema."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import re
from collections.abc import Collection
from typing import Any

from graft.models import entry_points, handles, teacher
from graft.models.download import REMOTE, fetch
from graft.models.durable import read_small, write_atomic
from graft.models.errors import GraftError, one_line
from graft.models.hashing import backbone_hash, hash_file, hash_folder, hash_json, require_identity
from graft.models.inputs import make_input
from graft.models.options import BackboneOptions
from graft.models.private_folder import store_cache
from graft.models.targets import make_target
from graft.models.text import located
from graft.pipeline.config import Config
from graft.serving import pointer
from graft.serving.store import open_store
from graft.serving.store_kind import S3
from graft.serving.versions import version_number

_PACKAGES = ("components", "models", "serving")
_LIBRARIES = (
    *("tensorflow", "keras"),  # networks, decoders, training
    *("tfx", "tfx-bsl", "tensorflow-transform", "tensorflow-data-validation", "tensorflow-model-analysis"),
    *("numpy", "scipy", "scikit-learn"),  # heads, references, metrics
    *("pillow", "pyarrow"),  # what is read of the data
)
"""Whatever may change what a stage gives for the same inputs."""
_ADDING = ("graft.methods", "graft.sources")
"""Groups of entry points whose code a stage runs; a backbone counts by its content."""
_MAX_SCHEMA_BYTES = 16 << 20
_MOST_TOLD = 200


_PATTERN = re.compile(r"[*?\[\\]")


def check_paths(config: Config) -> None:
    """Refuses folders that hold a character of file patterns.

    TFX and TensorFlow read what lies there through patterns (`FOLDER/*`, the shards of a checkpoint), in which Beam has
    no way to quote a character.

    Raises:
        GraftError: `root`, `store`, the folder of the backbone or that of a teacher holds one; for what lies on S3,
            the folder of the local copies does.
    """
    folders = {"root": config.root, "store": config.store}
    place = handles.placed(config.backbone.handle)
    if pathlib.Path(place).is_dir():
        folders["backbone.handle"] = place
    if taught := getattr(config.transfer, "teacher", None):
        folders[teacher.KEY] = taught
    remote = [key for key, folder in folders.items() if folder.startswith(S3)]
    if remote:
        folders = {key: folder for key, folder in folders.items() if key not in remote}
        folders["GRAFT_STORE_CACHE"] = str(store_cache())
    for key, folder in folders.items():
        path = str(pathlib.Path(folder).absolute())
        if found := _PATTERN.search(path):
            raise GraftError(
                f"{key}: {path!r} holds {found[0]!r}; TensorFlow reads it as a pattern of names. "
                "Give a folder without any of * ? [ \\ in its path"
            )


def check_places(config: Config) -> None:
    """Refuses what a run would stumble over where it writes, and a curated schema that is none.

    Raises:
        GraftError: `root`, `store` or the pipeline's own folder lies where a file is, or where nothing may be written;
            or see `read_schema`.
    """
    for key, place in (("root", config.root), ("store", config.store), ("name", str(config.run_root))):
        if place.startswith(S3):
            continue
        path = pathlib.Path(place).absolute()
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        if not there.is_dir():
            raise GraftError(f"{key}: {located(place)}: {there} is a file; it must be a folder, or not there yet")
        if not os.access(there, os.W_OK | os.X_OK):
            raise GraftError(f"{key}: {located(place)}: {there} may not be written")
    read_schema(config)


def code_version() -> str:
    """Hex sha256 of the sources that the components run and of the libraries' versions; a change is no cache hit."""
    top = pathlib.Path(__file__).parents[1]
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    sources = hash_folder(top, (path for package in _PACKAGES for path in (top / package).rglob("*.py")))
    return hash_json([sources, versions, *_added_code()])


def _added_code() -> list[str]:
    """Hashes of the packages that add methods or sources, each as a whole: a method may lie in several files of one."""
    tops = {
        entry.module.partition(".")[0]: entry for group in _ADDING for entry in entry_points.find(group, group).values()
    }
    found = []
    for name in sorted(tops.keys() - {"graft"}):
        spec = importlib.util.find_spec(name)
        if spec is None:  # who asks for it is told
            continue
        for folder in map(pathlib.Path, spec.submodule_search_locations or ()):
            found.append(hash_folder(folder, folder.rglob("*.py")))
        if not spec.submodule_search_locations and spec.has_location and spec.origin:
            found.append(hash_file(pathlib.Path(spec.origin)))
    return found


def backbone_identity(options: BackboneOptions) -> str:
    """What stands for a backbone in the cache keys.

    For a file or a folder, and for a URL as well, the hex sha256 of the content, the `identity` that `models.backbone`
    knows it by. A network of `keras.applications` is known by its handle and the version of Keras, which says by
    checksum which weights it downloads: its content is known only once TensorFlow has built it. The features artifact
    holds the identity of that content, and who reads it compares.

    Raises:
        GraftError: a URL that cannot be downloaded, or a content other than `backbone.sha256`.
    """
    handle = options.handle
    place = handles.placed(handle)
    path = fetch(place, options.allow_http) if place.startswith(REMOTE) else pathlib.Path(place)
    if path.exists():
        identity = backbone_hash(path)
        if options.sha256 is not None:
            require_identity(handle, identity, options.sha256)
        return identity
    return f"{handle}, keras {importlib.metadata.version('keras')}"


def pinned_transfer(config: Config) -> dict[str, Any]:
    """The settings of the transfer method, a teacher by its own folder and with its hash: another one is no cache hit.

    Raises:
        GraftError: there is no such teacher, or it has another hash than `transfer.teacher_sha256`.
    """
    settings = config.transfer.model_dump()
    if settings.get("teacher"):
        folder = teacher_folder(settings["teacher"])
        found, wanted = teacher.identity(folder), settings["teacher_sha256"]
        if wanted not in (None, found):
            raise GraftError(f"{teacher.KEY}: {folder} has sha256 {found}; transfer.teacher_sha256 is {wanted}")
        settings |= {"teacher": str(folder.absolute()), "teacher_sha256": found}
    return settings


def teacher_folder(given: str) -> pathlib.Path:
    """Where a teacher lies: an exported model, a version in a store, or the served version of a model there.

    One in a store on S3 is brought into the cache of this machine.

    Raises:
        GraftError: nothing of the kind lies there.
    """
    if given.startswith(S3):
        return _remote_teacher(given)
    path = pathlib.Path(given)
    if (path / "saved_model.pb").is_file():
        return path
    if (path / pointer.NAME).is_file():
        store = open_store(path.absolute().parent)
        version = store.served(path.absolute().name)
        if version is not None:
            return store.version_path(path.absolute().name, version)
    raise _no_teacher(given)


def _remote_teacher(given: str) -> pathlib.Path:
    parent, _, last = given.rstrip("/").rpartition("/")
    version = version_number(last)
    if version is not None:
        parent, _, last = parent.rpartition("/")
    if not parent.startswith(S3) or parent == S3:
        raise _no_teacher(given)
    store = open_store(parent)
    if version is None:
        version = store.served(last)
    if version not in store.versions(last):
        raise _no_teacher(given)
    return store.version_path(last, version)


def _no_teacher(given: str) -> GraftError:
    return GraftError(
        f"{teacher.KEY}: {located(given)} is neither an exported model nor a model of a store; allowed: the folder of "
        "a SavedModel that Graft exported, STORE/MODEL or STORE/MODEL/VERSION"
    )


def check_teacher(config: Config, classes: Collection[str]) -> None:
    """Refuses a teacher that cannot teach this pipeline's model.

    Args:
        config: of the pipeline.
        classes: of the data; empty where they are not known yet.

    Raises:
        GraftError: see `teacher_folder` and `models.teacher.require_pupil`.
    """
    given = getattr(config.transfer, "teacher", None)
    if given:
        target = make_target(config.target)
        folder, input = teacher_folder(given), make_input(config.input)
        teacher.require_pupil(folder, input, target.kind, classes if target.has_vocabulary else (), ordered=False)


def read_schema(config: Config) -> bytes | None:
    """The curated schema; None without one.

    Raises:
        GraftError: it cannot be read, or is no schema.
    """
    if config.data.schema_file is None:
        return None
    # Imported here: protobuf is needed by nobody else so early.
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    source = pathlib.Path(config.data.schema_file)
    wanted = "it must be a schema.pbtxt, or null to infer one"
    try:
        content = read_small(source, _MAX_SCHEMA_BYTES)
        text_format.Parse(content, schema_pb2.Schema())
    except OSError as error:
        raise GraftError(f"data.schema: {located(source)}: {error.strerror}; {wanted}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        told = one_line(error, _MOST_TOLD)
        raise GraftError(f"data.schema: {located(source)}: is no schema: {told}; {wanted}") from None
    return content


def pin_schema(config: Config) -> str | None:
    """Copies the curated schema to a name that holds its hash, so that an edit of it is no cache hit."""
    content = read_schema(config)
    if content is None:
        return None
    target = config.run_root.absolute() / "schemas" / hashlib.sha256(content).hexdigest()[:16] / "schema.pbtxt"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, content)
    return str(target)


def run_key(config: Config, data: str, code: str, backbone: str, teacher: str | None = None) -> str:
    """Identity of what goes into a model; two runs with the same key make the same model.

    Args:
        config: of the pipeline.
        data: fingerprint of the data.
        code: version of the code.
        backbone: identity of the backbone.
        teacher: identity of the model that teaches, where there is one.
    """
    return hash_json([config.of_the_run(), data, code, backbone, *([teacher] if teacher else [])])
