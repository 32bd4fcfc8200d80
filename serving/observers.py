"""Who is told of served requests: a request log, metrics. The layers above bring them by entry point (setup.py).

A class or function without arguments under `graft.observers` makes one; `graft serve --observe NAME` takes it.
"""

import abc
import dataclasses
import difflib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import grpc
import numpy as np

from graft.models import entry_points
from graft.models.errors import GraftError
from graft.serving.exchange import Exchange

GROUP = "graft.observers"

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Page:
    """What a GET on the REST port is answered with.

    Attributes:
        media_type: its type (`text/plain; charset=utf-8`).
        make: makes it.
        shared: other observers may add to it: pages of one path that all say so are shown as one, one after the other.
        needed: `graft serve` refuses the observer where there is no REST port.
    """

    media_type: str
    make: Callable[[], bytes]
    shared: bool = False
    needed: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """One Predict request that was answered. What a client made up is not passed on: it is None.

    Attributes:
        model: its name; None if the server has no such model.
        version: its number; None if no version was found.
        signature: its name; None if the model has no such signature, or the request could not be read so far.
        inputs: arrays by name; empty if they could not be read.
        outputs: arrays by name; empty if the request failed.
        code: OK, or what it failed with.
        seconds: from its reading to its answer; the wait for a thread is not in it.
        transport: `grpc` or `rest`.
        time: when it began, seconds since 1970.
        request_id: its id, of the form of `serving.request_ids`; the caller was told it.
    """

    model: str | None
    version: int | None
    signature: str | None
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    code: grpc.StatusCode
    seconds: float
    transport: str
    time: float
    request_id: str


@dataclasses.dataclass(frozen=True)
class ModelState:
    """What a server has of one model.

    Attributes:
        available: versions that can serve, rising.
        wanted: the version that should be served (the pointer of a store), None without one.
        newest: the newest version that lies there, None without one.
        pinned: whether somebody holds the served version against newer ones.
        loading: versions that are being loaded.
        failed: versions that should be there, or stand in for one, and could not be loaded.
        load_failures: attempts to load that have failed since the start.
        load_seconds: of the newest available version, its warm-up included.
    """

    available: tuple[int, ...]
    wanted: int | None = None
    newest: int | None = None
    pinned: bool = False
    loading: int = 0
    failed: int = 0
    load_failures: int = 0
    load_seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class ServerState:
    """What a server is at.

    Attributes:
        models: by name.
        running: predictions that are worked on.
        waiting: predictions that wait for a thread.
        most_predictions: that may run or wait; more are refused.
        held_bytes: of bodies and messages under way.
        most_bytes: that may be held.
    """

    models: Mapping[str, ModelState]
    running: int
    waiting: int
    most_predictions: int
    held_bytes: int
    most_bytes: int


class Observer(abc.ABC):
    """Is told of every served request, when its answer is ready, in the thread that made it.

    Attributes:
        reopens: whether it has files for `reopen`; without any, SIGHUP ends the server as it ends other programs.
    """

    reopens = False

    def attach(self, state: Callable[[], ServerState]) -> None:  # noqa: B027 - not all want to know
        """A server takes the observer; `state` says what it is at. A client's observers have no server."""

    def ended(self, exchange: Exchange) -> None:  # noqa: B027 - not all want to know
        """A request of whatever method has its answer, or was refused; after `observe`, unless it was given up before.

        As quick as `observe`: it may be called in the thread that all of REST's connections share.
        """

    def reopen(self) -> None:  # noqa: B027 - most have no file
        """SIGHUP came: its files are to be opened anew. Runs in a signal handler, so it must only take note."""

    @abc.abstractmethod
    def observe(self, served: Served) -> None:
        """Must be quick and may be called from several threads at once; the arrays are only to be read.

        What it raises is logged, some times a minute, and harms nobody.
        """

    def pages(self) -> Mapping[str, Page]:
        """What it shows on the REST port, by path (`/monitoring/x`); pages are made in threads of their own."""
        return {}

    def close(self) -> None:
        """The server ends: no request follows."""
        return


def names() -> list[str]:
    """The observers that are installed; none is imported."""
    return list(entry_points.find(GROUP, "observer"))


def load(wanted: "Iterable[str | Callable[[], Observer]]") -> list[Observer]:
    """Makes the observers called so, each once, and those that a layer above brings with their options.

    Args:
        wanted: names of installed observers; what makes one.

    Raises:
        GraftError: there is none of that name; the message gives the nearest one.
        models.entry_points.RegistrationError: it cannot be imported or made, or is no observer.
    """
    found = entry_points.find(GROUP, "observer")
    made: list[Observer] = []
    for name in dict.fromkeys(wanted):
        if not isinstance(name, str):
            made.append(name())
            continue
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise GraftError(
                f"no observer is called {name!r}; {hint}allowed: {', '.join(found) or 'none is installed'}"
            )
        where = f"observer {name!r} of {entry_points.origin(found[name])}"
        make = entry_points.load(found[name], "observer")
        try:
            observer = make()
        except Exception as error:  # a foreign module may raise anything
            raise entry_points.RegistrationError(f"{where}: cannot be made: {type(error).__name__}: {error}") from error
        if not isinstance(observer, Observer):
            raise entry_points.RegistrationError(f"{where}: makes a {type(observer).__name__}; allowed: an Observer")
        made.append(observer)
    return made


def pages(observers: Sequence[Observer]) -> dict[str, Page]:
    """The pages of all observers by path.

    Raises:
        GraftError: two give the same and do not share it, or one gives a path that is not below `/monitoring/`.
    """
    found: dict[str, Page] = {}
    for observer in observers:
        for path, page in observer.pages().items():
            first = found.get(path)
            both = first is not None and first.shared and page.shared and first.media_type == page.media_type
            if not path.startswith("/monitoring/") or (first is not None and not both):
                fault = "is given twice" if first is not None else "does not begin with /monitoring/"
                raise GraftError(f"{type(observer).__name__}: the path {path!r} of its page {fault}")
            found[path] = page if first is None else _joined(first, page)
    return found


def _joined(first: Page, second: Page) -> Page:
    needed = first.needed or second.needed
    return dataclasses.replace(first, make=lambda: first.make() + second.make(), needed=needed)


def tell(observers: Sequence[Observer], served: Served) -> None:
    """Tells each; one that raises is logged, and the others are told all the same."""
    for observer in observers:
        try:
            observer.observe(served)
        except Exception:
            # Rate-limited by `serving.log_rate`: it may come with every request.
            logger.exception("the observer %s failed", type(observer).__name__)


def ended(observers: Sequence[Observer], exchange: Exchange) -> None:
    """Tells each of a request that has its answer, as `tell`."""
    exchange.ended = time.monotonic()
    for observer in observers:
        try:
            observer.ended(exchange)
        except Exception:
            logger.exception("the observer %s failed", type(observer).__name__)


def close(observers: Sequence[Observer]) -> None:
    """Closes each; one that raises is logged."""
    for observer in observers:
        try:
            observer.close()
        except Exception:
            logger.exception("the observer %s failed when it was closed", type(observer).__name__)
