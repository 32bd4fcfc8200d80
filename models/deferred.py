"""How what takes seconds to import takes fewer.

Modules that TensorFlow and Keras import for what Graft does not call are loaded once somebody does.

`import tensorflow` takes IPython, pyplot, scikit-learn, requests and Google's API client along, for a notebook's file
editor, galleries of images, wrappers of estimators, a callback and clusters on Google's machines: a third of its
processor time, in every command, server and pod. Here each is an empty module that fills itself at the first
attribute somebody asks for. Python's `importlib.util.LazyLoader` is not used: it loads for `__file__` too, which
`inspect` (and with it AutoGraph) asks of every module there is, and two threads that ask at once may find half a
module (python/cpython#114763).

pyarrow is imported with its hotfix, whoever imports it.

In a process that is Graft's own, Python does not look for garbage while the large packages are imported, and never
again in what they left, which stays to the end: a fifth of what remains.
"""

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from typing import Any

NAMES = frozenset(
    {
        "IPython",
        "apache_beam.io.gcp.gcsio",
        "boto3",
        "google.cloud.bigquery",
        "google.cloud.bigquery_storage_v1",
        "google.cloud.pubsub",
        "googleapiclient.discovery",
        "keras.wrappers",
        "matplotlib.patches",
        "matplotlib.pyplot",
        "requests",
        "sacrebleu.metrics",
        "tqdm.notebook",
    }
)

WHOLES = frozenset(
    {
        "google.api_core",
        "tensorflow_data_validation",
        # In the newer stack TFX 1.21 mends TFMA 0.52 when this one is executed, and needs all of that.
        *(("tensorflow_model_analysis", "tfx.components") if sys.version_info < (3, 12) else ()),
    }
)
"""Packages that import all their parts, of which one is wanted: `import package.part` does not execute the package."""

HOTFIX = "pyarrow_hotfix"
"""Comes with the pipeline; a client alone, beside a pyarrow of the user's, leaves that as it is."""

LARGE = frozenset(
    {"apache_beam", "keras", "tensorflow", "tensorflow_model_analysis", "tensorflow_transform", "tfx.components"}
)
"""Packages whose import makes hundreds of thousands of objects."""


class _Deferred(types.ModuleType):
    """A module that is executed when a name is missing for the first time."""

    def __getattr__(self, name: str) -> Any:
        # Others of these names `warnings` and `inspect` ask of all modules there are: no reason to load one.
        if name.startswith("__") and name not in ("__all__", "__path__", "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        loader = types.ModuleType.__getattribute__(self, "__loader__")
        if isinstance(loader, _Loader):
            if loader.is_part(self, name):
                return importlib.import_module(f"{self.__name__}.{name}")
            loader.load(self)
        return types.ModuleType.__getattribute__(self, name)


class _Loader(importlib.abc.Loader):
    """Puts off what the `real` loader does."""

    def __init__(self, real: Any, whole: bool = False) -> None:
        self.real = real
        self._whole = whole
        self._lock = threading.RLock()
        self._begun = True  # until the import of the empty module is through
        self._path: Any = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Deferred(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing yet. Who imports a part of a package asks for its `__path__`, and so loads the package first.

        A whole keeps its path, and its parts are imported without it.
        """
        if not self._whole:
            self._path = module.__dict__.pop("__path__", None)
        self._begun = False

    def is_part(self, module: types.ModuleType, name: str) -> bool:
        """Whether a name that a whole lacks, as long as it is not executed, is that of a module within it."""
        if not self._whole or self._begun:
            return False
        return importlib.machinery.PathFinder.find_spec(f"{module.__name__}.{name}", module.__path__) is not None

    def load(self, module: types.ModuleType) -> None:
        """Executes `module`, once; other threads wait for its end, the thread that executes it sees what is there."""
        with self._lock:
            if self._begun:
                return
            self._begun = True
            if self._path is not None:
                module.__path__ = self._path
            try:
                self.real.exec_module(module)
            except BaseException:
                self._begun = False
                if not self._whole:
                    module.__dict__.pop("__path__", None)
                raise
            module.__loader__ = self.real
            if module.__spec__ is not None:
                module.__spec__.loader = self.real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)  # `get_source` and the like


class _Present(importlib.abc.Loader):
    """For an import of `package.part` that loaded the deferred package, which has imported `package.part` itself."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = sys.modules[spec.name]
        self._was = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """It is executed already."""
        module.__spec__ = self._was


class _Uncollected(importlib.abc.Loader):
    """Imports without a search for garbage; what was imported is left out of later ones."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self.real
        if module.__spec__ is not None:
            module.__spec__.loader = self.real
        if not gc.isenabled():  # within another large package, or as the caller wants it
            self.real.exec_module(module)
            return
        gc.collect()  # what is garbage by now is not kept for good
        gc.disable()
        try:
            self.real.exec_module(module)
            gc.freeze()
        finally:
            gc.enable()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Mended(importlib.abc.Loader):
    """For pyarrow: the hotfix is in force before anybody, TFX and Beam among them, can read a file with it.

    Before version 14.0.1 the schema of a Parquet or IPC file could run code (CVE-2023-47248), and TFX 1.16 pins 10.
    """

    def __init__(self, real: Any) -> None:
        self.real = real

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self.real
        if module.__spec__ is not None:
            module.__spec__.loader = self.real
        self.real.exec_module(module)
        importlib.import_module(HOTFIX)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Finder:
    """Finds modules as Python does, those of `NAMES` with a loader that waits."""

    uncollected: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if target is None and name in sys.modules and name.partition(".")[0] in NAMES:
            return importlib.machinery.ModuleSpec(name, _Present())
        mended = name == "pyarrow" and importlib.machinery.PathFinder.find_spec(HOTFIX) is not None
        if name not in NAMES and name not in WHOLES and name not in cls.uncollected and not mended:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            if name in cls.uncollected:
                spec.loader = _Uncollected(spec.loader)
            if mended:
                spec.loader = _Mended(spec.loader)
            if name in NAMES or name in WHOLES:
                spec.loader = _Loader(spec.loader, name in WHOLES)
        return spec


def defer() -> None:
    """From now on; what is imported already stays as it is."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


@contextlib.contextmanager
def parts_alone(package: str) -> Iterator[None]:
    """Within it, modules of a package are imported without it, unless it is there already; for imports at the top.

    Only for modules that mean the same before and after the package is executed, if it ever is.
    """
    if package in sys.modules:
        yield
        return
    spec = importlib.machinery.PathFinder.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    place = types.ModuleType(package)
    place.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = place
    try:
        yield
    finally:
        if sys.modules.get(package) is place:
            del sys.modules[package]


def own_process() -> None:
    """For a process that Graft itself began: the large packages are imported without a search for garbage."""
    _Finder.uncollected = LARGE
