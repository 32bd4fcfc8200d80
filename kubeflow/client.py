"""The Kubeflow Pipelines API as Graft's commands use it, through the official `kfp-server-api`.

`kfp.Client` wraps the same classes and is not used: it reads and writes ~/.config/kfp, takes addresses from environment
variables and the kubeconfig behind the user's back, prints, and waits half a minute for a server that is not there.

A request that only reads is tried three times. One that changes something is tried again only if it cannot have
arrived. Where the answer to a creation was lost, what it made is looked up by a name or mark that no other has, and if
it is not there the command ends: the server may still be at work, and a second request could make a second run.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import kfp_server_api

from graft.kubeflow import server_errors
from graft.kubeflow.server_errors import ServerError
from graft.kubeflow.server_options import ServerOptions
from graft.models.errors import GraftError

T = TypeVar("T")

_TRIES = 3
_FIRST_PAUSE = 0.5
_LOOKS = 3
_PAGE = 100
_CONNECT = 10.0
"""Seconds in which a connection must stand, at most."""


class PipelinesClient:
    """Requests to one server.

    Args:
        options: of the server; `host` must be given.
        pause: sleeps for seconds.

    Raises:
        GraftError: no host, or no token or certificates where they are named.
    """

    def __init__(self, options: ServerOptions, pause: Callable[[float], None] = time.sleep):
        if not options.host:
            raise GraftError(
                "kubeflow.server.host: none is given; allowed: the address of the Kubeflow Pipelines API, such as "
                "https://kubeflow.example/pipeline, or --set kubeflow.server.host=http://localhost:8888"
            )
        self.options = options
        self._pause = pause
        self._token = options.token()
        settings = kfp_server_api.Configuration(host=options.host)
        settings.retries = False  # urllib3's own, which also follow a redirect to a login page
        if options.ca_file:
            settings.ssl_ca_cert = _certificates(options.ca_file)
        if self._token:
            settings.api_key["authorization"] = self._token
            settings.api_key_prefix["authorization"] = "Bearer"
        self._api = kfp_server_api.ApiClient(settings)
        self._experiments = kfp_server_api.ExperimentServiceApi(self._api)
        self._runs = kfp_server_api.RunServiceApi(self._api)
        self._schedules = kfp_server_api.RecurringRunServiceApi(self._api)

    def __repr__(self) -> str:
        return f"PipelinesClient({self.options.host})"

    # Experiments

    def experiment(self, name: str, create: bool = False) -> str:
        """The id of an experiment.

        Args:
            name: of the experiment.
            create: whether to make one where there is none.

        Raises:
            GraftError: there is none, or a request failed.
        """
        found = self._experiment(name)
        if found is None and create:
            body = kfp_server_api.V2beta1Experiment(display_name=name, namespace=self.options.namespace or None)
            found = self._created(
                f"create the experiment {name}",
                lambda: self._experiments.experiment_service_create_experiment(body, **self._limits),
                lambda: self._experiment(name),
                also=server_errors.CONFLICT,
            )
        if found is None:
            raise GraftError(
                f"{self.options.host}: there is no experiment {name}; graft kubeflow submit makes it with the first run"
            )
        return found.experiment_id

    def find_experiment(self, name: str) -> str | None:
        """The id of an experiment, None if there is none."""
        found = self._experiment(name)
        return None if found is None else found.experiment_id

    def _experiment(self, name: str) -> Any:
        more = {"namespace": self.options.namespace} if self.options.namespace else {}
        pages = self._pages(
            f"find the experiment {name}",
            self._experiments.experiment_service_list_experiments,
            "experiments",
            filter=_named(name),
            **more,
        )
        return next((one for one in pages if one.display_name == name), None)

    # Runs

    def create_run(self, body: Any) -> Any:
        """Starts a run; `body.display_name` must be one that no other run of its experiment has.

        Args:
            body: a `kfp_server_api.V2beta1Run`.

        Returns:
            The run as the server has it.
        """
        return self._created(
            f"create the run {body.display_name}",
            lambda: self._runs.run_service_create_run(body, **self._limits),
            lambda: self.find_run(body.experiment_id, body.display_name),
        )

    def find_run(self, experiment_id: str, name: str) -> Any:
        """The run of that name, None if there is none."""
        pages = self._pages(
            f"find the run {name}",
            self._runs.run_service_list_runs,
            "runs",
            experiment_id=experiment_id,
            filter=_named(name),
        )
        return next((one for one in pages if one.display_name == name), None)

    def runs(self, experiment_id: str, count: int) -> list[Any]:
        """The newest runs of an experiment, the newest first; at most `count`, which is at most 200."""
        found = self._read(
            "list the runs",
            lambda: self._runs.run_service_list_runs(
                experiment_id=experiment_id, page_size=count, sort_by="created_at desc", **self._limits
            ),
        )
        return found.runs or []

    def run(self, run_id: str) -> Any:
        """A run, with its tasks as far as the server tells them."""
        return self._read(
            f"read the run {run_id}", lambda: self._runs.run_service_get_run(run_id, **self._limits), "run_id"
        )

    def run_if_there(self, run_id: str) -> Any:
        """The same; None where there is no such run."""
        try:
            return self.run(run_id)
        except ServerError as error:
            if error.status == server_errors.NOT_FOUND:
                return None
            raise

    def log(self, run_id: str, pod: str) -> str:
        """What the main container of a pod has printed.

        The API server reads it from the pod, or from the archive of logs if one is set up. This address is the one of
        the API that its description, and so the generated client, leaves out.

        Raises:
            ServerError: the pod is gone, or belongs to another run.
        """
        found = self._read(
            f"read the log of {pod}",
            lambda: self._api.call_api(
                "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log",
                "GET",
                path_params={"run_id": run_id, "node_id": pod},
                header_params={"Accept": "text/plain, application/json"},
                auth_settings=["Bearer"],
                _preload_content=False,
                **self._limits,
            ),
            raw=True,
        )
        return found.data.decode(errors="replace")

    # Recurring runs, which Graft calls schedules

    def schedules(self, experiment_id: str, name: str | None = None) -> list[Any]:
        """The recurring runs of an experiment, those of one name if it is given."""
        more = {"filter": _named(name)} if name else {}
        pages = self._pages(
            "list the schedules",
            self._schedules.recurring_run_service_list_recurring_runs,
            "recurring_runs",
            experiment_id=experiment_id,
            **more,
        )
        return [one for one in pages if name is None or one.display_name == name]

    def create_schedule(self, body: Any) -> Any:
        """Makes a recurring run; no other may have the same description.

        Args:
            body: a `kfp_server_api.V2beta1RecurringRun`.

        Returns:
            The recurring run as the server has it.
        """

        def look() -> Any:
            made = self.schedules(body.experiment_id, body.display_name)
            return next((one for one in made if one.description == body.description), None)

        return self._created(
            f"create the schedule {body.display_name}",
            lambda: self._schedules.recurring_run_service_create_recurring_run(body, **self._limits),
            look,
        )

    def enable_schedule(self, schedule_id: str) -> None:
        """Lets a recurring run start runs."""
        enable = self._schedules.recurring_run_service_enable_recurring_run
        self._repeatable("enable the schedule", lambda: enable(schedule_id, **self._limits))

    def disable_schedule(self, schedule_id: str) -> None:
        """Keeps a recurring run from starting runs; one that is gone starts none."""
        disable = self._schedules.recurring_run_service_disable_recurring_run
        self._repeatable("disable the schedule", lambda: disable(schedule_id, **self._limits), gone=True)

    def delete_schedule(self, schedule_id: str) -> None:
        """Deletes a recurring run; one that is gone is deleted."""
        delete = self._schedules.recurring_run_service_delete_recurring_run
        self._repeatable("delete the schedule", lambda: delete(schedule_id, **self._limits), gone=True)

    # Requests

    @property
    def _limits(self) -> dict[str, Any]:
        timeout = self.options.timeout
        return {"_request_timeout": (min(timeout, _CONNECT), timeout)}

    def _once(self, tried: str, request: Callable[[], T], key: str = "", raw: bool = False) -> T:
        """One request.

        Args:
            tried: what it is for, in words.
            request: makes it.
            key: a field that the answer must have.
            raw: whether the answer may be something else than JSON.

        Raises:
            ServerError: no answer, or one that refuses.
            GraftError: an answer that is none of this API.
        """
        try:
            answer = request()
            kind = self._api.last_response.getheader("content-type") or ""
        except Exception as error:
            fault = server_errors.told(error, self.options.host, tried, self.options.timeout, self._token)
            if fault is not None:
                raise fault from None
            own = isinstance(error, kfp_server_api.exceptions.OpenApiException)  # a request that Graft made wrong
            if own or not isinstance(error, (AttributeError, LookupError, TypeError, ValueError)):
                raise
            # What the library raises where an answer is not of the form that it was generated for.
            raise self._another(tried, "text of another form") from error
        strange = (not raw and "json" not in kind) or (raw and "html" in kind)
        if strange or (key and getattr(answer, key, None) is None):
            raise self._another(tried, kind.partition(";")[0] or "nothing")
        return answer

    def _another(self, tried: str, kind: str) -> GraftError:
        return GraftError(
            f"{self.options.host}: could not {tried}: it answers with {kind}, so it is not the Kubeflow Pipelines "
            "API or asks for a login first; check kubeflow.server.host and the token"
        )

    def _read(self, tried: str, request: Callable[[], T], key: str = "", raw: bool = False) -> T:
        """A request that changes nothing, tried again while its failure may pass."""
        for left in reversed(range(_TRIES)):
            try:
                return self._once(tried, request, key, raw)
            except ServerError as error:
                if not left or not error.passing:
                    raise
            self._pause(_FIRST_PAUSE * 2 ** (_TRIES - 1 - left))
        raise AssertionError  # the last try returns or raises

    def _repeatable(self, tried: str, request: Callable[[], Any], gone: bool = False) -> None:
        """A request that makes no difference the second time."""
        try:
            self._read(tried, request)
        except ServerError as error:
            if not (gone and error.status == server_errors.NOT_FOUND):
                raise

    def _created(
        self, tried: str, request: Callable[[], T], look: Callable[[], T | None], also: int | None = None
    ) -> T:
        """A creation that is made once, whatever happens to its answer.

        Args:
            tried: what it is for, in words.
            request: makes it.
            look: finds what the request makes.
            also: a status after which it is looked up, too.
        """
        for left in reversed(range(_TRIES)):
            try:
                return self._once(tried, request)
            except ServerError as error:
                lost = error
                if error.unknown or error.status == also:
                    break
                if not left or error.sent:
                    raise
            self._pause(_FIRST_PAUSE * 2 ** (_TRIES - 1 - left))
        for number in range(_LOOKS):
            found = look()
            if found is not None:
                return found
            self._pause(_FIRST_PAUSE * 2**number)
        raise ServerError(
            f"{lost}; it is not there yet, and may still be made: look with graft kubeflow status or schedule list "
            "before you try again",
            lost.status,
        )

    def _pages(self, tried: str, request: Callable[..., Any], key: str, **more: Any) -> Iterator[Any]:
        token = ""
        while True:
            page = self._read(
                tried,
                lambda at=token: request(page_token=at, page_size=_PAGE, **more, **self._limits),  # type: ignore[misc]
            )
            yield from getattr(page, key) or ()
            token = page.next_page_token or ""
            if not token:
                return


def _certificates(path: str) -> str:
    """The path, if certificates can be read from it."""
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise GraftError(f"kubeflow.server.ca_file: received {path}: {reason}; give a file of certificates") from None
    return path


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
