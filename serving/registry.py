"""Which versions of which models are loaded: takes them in beside the old ones, switches, drains and lets go.

Follows TensorFlow Serving's availability-preserving policy: a version that is no longer wanted is unloaded only when
a wanted one can serve, and only after the calls it is answering have ended.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import enum
import logging
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import grpc

from graft.serving.engine import Engine
from graft.serving.observers import ModelState
from graft.serving.status import ServingError, invalid

logger = logging.getLogger(__name__)

Loader = Callable[[str, int, pathlib.Path], Engine]


class State(enum.IntEnum):
    """ModelVersionStatus.State of the API."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass
class Version:
    """One version of one model and what became of it; `error` is set if its load failed."""

    model: str
    number: int
    path: pathlib.Path
    state: State = State.START
    error: ServingError | None = None
    engine: Engine | None = None
    calls: int = 0
    attempts: int = 0
    retry_at: float = 0.0
    load_s: float = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether its load failed; one that nobody wanted any more did not."""
        return self.error is not None and self.error.code is not grpc.StatusCode.CANCELLED


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a source wants of one model.

    Attributes:
        versions: the versions to serve, with their folders.
        fallbacks: versions that may serve while none of `versions` can be loaded; the newest loadable is taken.
        pinned: whether `versions` are held against newer ones.
    """

    versions: Mapping[int, pathlib.Path]
    fallbacks: Mapping[int, pathlib.Path] = dataclasses.field(default_factory=dict)
    pinned: bool = False


class ModelRegistry:
    """Loaded versions by model name; all methods may be called from any thread.

    Args:
        loader: makes the Engine of a version, warmed up; called in a thread of its own.
        load_threads: versions that may load at once.
        attempts: how often a version that fails to load is tried.
        retry_s: pause between two attempts, in seconds.
    """

    def __init__(self, loader: Loader, load_threads: int = 2, attempts: int = 6, retry_s: float = 60.0):
        self._loader = loader
        self._attempts = attempts
        self._retry_s = retry_s
        self._changed = threading.Condition()
        self._models: dict[str, dict[int, Version]] = {}
        self._wanted: dict[str, Wanted] = {}
        self._load_failures: collections.Counter[str] = collections.Counter()
        self._threads = concurrent.futures.ThreadPoolExecutor(load_threads, thread_name_prefix="load")
        self._unloading: set[threading.Thread] = set()
        self._closing = False

    def want(self, model: str, wanted: Wanted) -> None:
        """Sets what should be served of `model`; loading and unloading happen in the background."""
        with self._changed:
            self._wanted[model] = wanted
            self._models.setdefault(model, {})
            self._reconcile(model)

    @contextlib.contextmanager
    def use(self, model: str, version: int | None = None, label: str | None = None) -> Iterator[Version]:
        """An available version, held in memory until the end of the `with` block.

        Raises:
            ServingError: NOT_FOUND if it is not available, INVALID_ARGUMENT for a label nobody set.
        """
        if label is not None:
            raise invalid(f"Unrecognized servable version label: {label}")
        with self._changed:
            held = self._find(model, version)
            held.calls += 1
        try:
            yield held
        finally:
            with self._changed:
                held.calls -= 1
                if not held.calls:
                    self._changed.notify_all()

    def status(self, model: str, version: int | None = None) -> list[Version]:
        """Copies of the versions known, newest first, also of those that ended or failed.

        Raises:
            ServingError: NOT_FOUND if there are none.
        """
        with self._changed:
            found = [dataclasses.replace(known, engine=None) for known in self._models.get(model, {}).values()]
        if version is not None:
            found = [known for known in found if known.number == version]
            if not found:
                raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {model}")
        if not found:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {model}")
        return sorted(found, key=lambda known: -known.number)

    def models(self) -> list[str]:
        """Names of the models something is wanted or loaded of."""
        with self._changed:
            return sorted(self._models)

    def states(self) -> dict[str, ModelState]:
        """What there is of each model, for observers."""
        with self._changed:
            return {model: self._state(model) for model in sorted(self._models)}

    def available(self, model: str) -> bool:
        """Whether some version of `model` can serve."""
        with self._changed:
            return any(known.state is State.AVAILABLE for known in self._models.get(model, {}).values())

    def wait_settled(self, model: str, timeout_s: float | None = None) -> bool:
        """Waits until no version of `model` is loading; returns whether one is available."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    not any(
                        known.state in (State.START, State.LOADING) for known in self._models.get(model, {}).values()
                    )
                ),
                timeout_s,
            )
        return self.available(model)

    def close(self, timeout_s: float | None = None) -> bool:
        """Unloads everything after the calls under way; a load under way is finished and thrown away.

        Returns:
            Whether all was unloaded within `timeout_s` seconds; what was not stays in memory with its call.
        """
        with self._changed:
            self._closing = True
            for model in self._models:
                self._wanted[model] = Wanted({})
                self._reconcile(model)
        self._threads.shutdown(wait=True)
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in list(self._unloading):
            # To its very end: a thread that frees a session while the interpreter goes down aborts the process.
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not self._unloading

    def _find(self, model: str, number: int | None) -> Version:
        ready = [known for known in self._models.get(model, {}).values() if known.state is State.AVAILABLE]
        if number is None and ready:
            return max(ready, key=lambda known: known.number)
        for known in ready:
            if known.number == number:
                return known
        asked = f"Latest({model})" if number is None else f"Specific({model}, {number})"
        raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")

    # Below, the lock is held by the caller.

    def _state(self, model: str) -> ModelState:
        known, wanted = self._models[model], self._wanted[model]
        ready = sorted(number for number, version in known.items() if version.state is State.AVAILABLE)
        there = {*wanted.versions, *wanted.fallbacks}
        failed = [number for number in there & known.keys() if known[number].has_failed]
        return ModelState(
            available=tuple(ready),
            wanted=max(wanted.versions, default=None),
            newest=max(there, default=None),
            pinned=wanted.pinned,
            loading=sum(version.state in (State.START, State.LOADING) for version in known.values()),
            failed=len(failed),
            load_failures=self._load_failures[model],
            load_seconds=known[ready[-1]].load_s if ready else None,
        )

    def _reconcile(self, model: str) -> None:
        known, wanted = self._models[model], self._wanted[model]
        for number, path in wanted.versions.items():
            self._load_if_due(model, number, path)
        serving = [version for version in known.values() if version.state is State.AVAILABLE]
        if not wanted.versions or any(version.number in wanted.versions for version in serving):
            for version in serving:
                if version.number not in wanted.versions:
                    self._unload(version)
        elif not serving and all(known[number].error for number in wanted.versions):
            self._fall_back(model)

    def _fall_back(self, model: str) -> None:
        known, wanted = self._models[model], self._wanted[model]
        if any(version.state in (State.START, State.LOADING) for version in known.values()):
            return
        for number in sorted(wanted.fallbacks, reverse=True):
            if number not in known or not known[number].error:
                logger.error("%s: no wanted version can be loaded; falling back to version %d", model, number)
                self._load_if_due(model, number, wanted.fallbacks[number])
                return

    def _load_if_due(self, model: str, number: int, path: pathlib.Path) -> None:
        known = self._models[model].get(number)
        attempts = 0
        if known is not None:
            if known.state is not State.END:
                return
            if known.has_failed and known.path == path:
                # What cannot be fetched now says nothing about the model.
                lasting = known.error is not None and known.error.code is not grpc.StatusCode.UNAVAILABLE
                if (lasting and known.attempts >= self._attempts) or time.monotonic() < known.retry_at:
                    return
                attempts = known.attempts
        version = Version(model, number, path, attempts=attempts + 1)
        self._models[model][number] = version
        self._threads.submit(self._load, version)

    def _load(self, version: Version) -> None:
        label = f"{version.model} version {version.number}"
        with self._changed:
            version.state = State.LOADING
        start = time.monotonic()
        engine, error = None, None
        try:
            if not self._still_wanted(version):
                raise ServingError(grpc.StatusCode.CANCELLED, "no longer wanted")
            engine = self._loader(version.model, version.number, version.path)
            if not self._still_wanted(version):
                engine.close()
                raise ServingError(grpc.StatusCode.CANCELLED, "no longer wanted when it was loaded")
        except ServingError as failure:
            error = failure
        except Exception as failure:
            # A thread of the pool: whatever the load of a foreign model raised must show in the status.
            logger.exception("%s: unexpected error in its load", label)
            error = ServingError(grpc.StatusCode.UNKNOWN, f"{type(failure).__name__}: {failure}")
        with self._changed:
            if error is None:
                version.engine, version.state, version.load_s = engine, State.AVAILABLE, time.monotonic() - start
                logger.info("%s available, loaded in %.1f s from %s", label, version.load_s, version.path)
            else:
                version.error, version.state = error, State.END
                version.retry_at = time.monotonic() + self._retry_s
                self._load_failures[version.model] += version.has_failed
                logger.error("%s could not be loaded: %s", label, error)
            self._reconcile(version.model)
            self._changed.notify_all()

    def _still_wanted(self, version: Version) -> bool:
        wanted = self._wanted[version.model]
        return not self._closing and (version.number in wanted.versions or version.number in wanted.fallbacks)

    def _unload(self, version: Version) -> None:
        version.state = State.UNLOADING
        thread = threading.Thread(target=self._drain, args=(version,), name="unload", daemon=True)
        self._unloading.add(thread)
        thread.start()

    def _drain(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not version.calls)
            engine, version.engine = version.engine, None
        assert engine is not None
        engine.close()
        del engine  # its memory is given back before the state says so
        with self._changed:
            version.state = State.END
            self._unloading.discard(threading.current_thread())
            self._changed.notify_all()
        logger.info("%s version %d unloaded", version.model, version.number)
