"""What is wrong with a store as a whole, beside its versions: strangers in it, and a `models.config` left behind."""

from graft.models import durable
from graft.serving import pointer
from graft.serving.store import MODELS_CONFIG, RESERVED, ModelStore
from graft.serving.versions import is_model_name, version_folders

_MAX_CONFIG_BYTES = 64 << 20


def config_follows(store: ModelStore) -> bool:
    """Whether `models.config` says what the pointers say; a write that died between the two leaves it behind."""
    try:
        content = durable.read_small(store.path / MODELS_CONFIG, _MAX_CONFIG_BYTES)
        return content.decode() == store.models_config()
    except (OSError, ValueError):
        return False


def foreign(store: ModelStore) -> list[str]:
    """What lies in the store and is not the store's: a line each. It is never touched, listed or served."""
    found = []
    for path in sorted(store.path.iterdir()):
        if path.name in RESERVED or path.name.startswith("."):
            continue
        if not is_model_name(path.name) or not path.is_dir():
            found.append(f"{path.name!r}: no folder of a model; left alone")
            continue
        try:
            inside = sorted(path.iterdir())
        except OSError as error:
            found.append(f"{path.name!r}: cannot be listed: {error.strerror}")
            continue
        names = {folder.name for folder in version_folders(path).values()} | {pointer.NAME}
        strays = [entry.name for entry in inside if entry.name not in names and not entry.name.startswith(".")]
        found += [f"'{path.name}/{name}': no version of the model; left alone" for name in strays]
    return found
