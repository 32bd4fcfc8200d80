"""The conversation with the Kubernetes API about a job: a TrainJob with its runtime, or a TFJob."""

import functools
import http.client
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError, one_line
from graft.models.hashing import hash_json

if TYPE_CHECKING:
    import kubernetes.client

Json = dict[str, Any]

NAMESPACE, POD, POD_UID = "GRAFT_POD_NAMESPACE", "GRAFT_POD_NAME", "GRAFT_POD_UID"
"""Environment variables: of the pod that asks."""

_PLURALS = {"TrainingRuntime": "trainingruntimes", "TrainJob": "trainjobs", "TFJob": "tfjobs"}
_ENDED = {"Complete": "", "Succeeded": "", "Failed": "failed"}
"""Conditions of a TrainJob and a TFJob that are the last."""
_MADE_OF = "graft/made-of"
"""Annotation: hash of a manifest, to know one's own."""

_TIMEOUT_S, _LAST_WORD_S = 30.0, 0.8
_PATIENCE_S = 300.0
"""How long the API may give no answer, or an object stay that is being deleted."""

log = logging.getLogger(__name__)


class ClusterJob:
    """One job and what belongs to it; see `workers.Job`.

    Args:
        manifests: in the order in which they are made; the last is the job.
        namespace: where.
        api: of Kubernetes.
        owner: name and uid of the pod with which they are to go; None: none.
        patience: seconds that the API may be away.
        every: seconds between two attempts.
    """

    def __init__(
        self,
        manifests: Sequence[Json],
        namespace: str,
        api: "kubernetes.client.ApiClient",
        owner: tuple[str, str] | None = None,
        patience: float = _PATIENCE_S,
        every: float = 2.0,
    ):
        from kubernetes import client

        self._namespace, self._patience, self._every = namespace, patience, every
        self._manifests = [_signed(manifest, owner) for manifest in manifests]
        self._objects = client.CustomObjectsApi(api)
        self._ended = False
        self._silent: float | None = None

    @classmethod
    def in_pod(cls, manifests: Sequence[Json]) -> "ClusterJob":
        """With the account and the variables of the pod that this runs in.

        Raises:
            GraftError: it runs in none.
        """
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            config.load_incluster_config(settings)
            namespace, owner = os.environ[NAMESPACE], (os.environ[POD], os.environ[POD_UID])
        except (config.ConfigException, KeyError) as error:
            raise GraftError(
                f"train: no way to the Kubernetes API ({one_line(error)}); a task with several workers runs in a pod "
                "of Kubeflow Pipelines with an account, or below graft kubeflow run-local"
            ) from error
        settings.retries = 0
        return cls(manifests, namespace, client.ApiClient(settings), owner)

    def start(self) -> None:
        """Makes what is not there; a job of the same manifest that goes on is taken over.

        Raises:
            GraftError: the API refuses it, or gives no answer.
        """
        for manifest in self._manifests:
            self._make(manifest)

    def failure(self) -> str | None:
        """Looks at the job.

        Raises:
            GraftError: somebody has deleted it, the API refuses to tell, or it has given no answer for long.
        """
        job = self._manifests[-1]
        try:
            held = self._get(job)
        except _Away as error:
            self._silent = self._silent or time.monotonic()
            if time.monotonic() - self._silent > self._patience:
                raise GraftError(f"{_named(job)}: the Kubernetes API does not answer: {error}") from error
            log.warning("%s: the Kubernetes API does not answer (%s); it is asked again", _named(job), error)
            return None
        self._silent = None
        if held is None:
            raise GraftError(
                f"{_named(job)}: somebody has deleted it; tried again, the training goes on from a checkpoint"
            )
        return _ending(held)

    def end(self, wait: bool = True) -> None:
        """Deletes it all, the job first; a second time nothing is done.

        Args:
            wait: whether to try until it is gone, with the pods; else each is asked for once.
        """
        from kubernetes import client

        if self._ended:
            return
        self._ended = True
        if not wait:  # called within a signal: the other connection may be in use
            self._objects = client.CustomObjectsApi(client.ApiClient(self._objects.api_client.configuration))
        for manifest in reversed(self._manifests):
            try:
                if wait:
                    self._until(functools.partial(self._gone, manifest))
                else:
                    self._delete(manifest, _LAST_WORD_S)
            except (GraftError, _Away) as error:
                log.warning("%s: not deleted: %s", _named(manifest), error)

    def _make(self, manifest: Json) -> None:
        def made() -> bool:
            try:
                self._ask("create_namespaced_custom_object", manifest, body=manifest)
                return True
            except _Status as status:
                if status.code != http.client.CONFLICT:
                    raise self._refused(manifest, "create", status) from status
            held = self._get(manifest)
            if held is None:
                return False
            own = held["metadata"].get("annotations", {}).get(_MADE_OF) == manifest["metadata"]["annotations"][_MADE_OF]
            if own and "deletionTimestamp" not in held["metadata"] and _ending(held) is None:
                log.info("%s is there already; it is taken over", _named(manifest))
                return True
            self._delete(manifest, _TIMEOUT_S)
            return False

        self._until(made)

    def _gone(self, manifest: Json) -> bool:
        self._delete(manifest, _TIMEOUT_S)
        return self._get(manifest) is None

    def _until(self, settled: Callable[[], bool]) -> None:
        """Tries until it is so; raises GraftError where it is not in time."""
        first = time.monotonic()
        while True:
            reason = "it is still there"
            try:
                if settled():
                    return
            except _Away as error:
                reason = f"the Kubernetes API does not answer: {error}"
            if time.monotonic() - first > self._patience:
                raise GraftError(f"{_named(self._manifests[-1])}: {reason}")
            time.sleep(self._every)

    def _get(self, manifest: Json) -> Json | None:
        try:
            return dict(self._ask("get_namespaced_custom_object", manifest, name=manifest["metadata"]["name"]))
        except _Status as status:
            if status.code == http.client.NOT_FOUND:
                return None
            raise self._refused(manifest, "get", status) from status

    def _delete(self, manifest: Json, timeout: float) -> None:
        # In the foreground: while a pod runs, the job is there.
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        name = manifest["metadata"]["name"]
        try:
            self._ask("delete_namespaced_custom_object", manifest, timeout, name=name, body=body)
        except _Status as status:
            if status.code not in (http.client.NOT_FOUND, http.client.CONFLICT):
                raise self._refused(manifest, "delete", status) from status

    def _ask(self, verb: str, manifest: Json, timeout: float = _TIMEOUT_S, **more: Any) -> Any:
        """Asks the API; raises _Away where there is no answer or a passing one, _Status for any other refusal."""
        import urllib3
        from kubernetes.client.rest import ApiException

        group, _, version = manifest["apiVersion"].partition("/")
        place = {"group": group, "version": version, "plural": _PLURALS[manifest["kind"]]}
        try:
            return getattr(self._objects, verb)(namespace=self._namespace, **place, **more, _request_timeout=timeout)
        except ApiException as error:
            if error.status == http.client.TOO_MANY_REQUESTS or error.status >= http.client.INTERNAL_SERVER_ERROR:
                raise _Away(f"{error.status} {error.reason}") from error
            raise _Status(error.status, _message(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise _Away(one_line(error)) from error

    def _refused(self, manifest: Json, verb: str, status: "_Status") -> GraftError:
        kind, group = manifest["kind"], manifest["apiVersion"].partition("/")[0]
        advice = {
            http.client.FORBIDDEN: f"give the account of the run's pods the right to {verb} {_PLURALS[kind]}.{group} "
            "(kubeflow/manifests/overlays/workers)",
            http.client.NOT_FOUND: f"the cluster knows no {kind}: install Kubeflow Trainer, or choose another "
            "kubeflow.stages.train.job",
        }
        more = f"; {advice[status.code]}" if status.code in advice else ""
        return GraftError(f"{_named(manifest)}: the Kubernetes API refused to {verb} it: {status}{more}")


class _Away(Exception):
    """The API gave no answer, or said that it could not now."""


class _Status(Exception):
    def __init__(self, code: int, message: str):
        super().__init__(f"{code} {message}")
        self.code = code


def _signed(manifest: Json, owner: tuple[str, str] | None) -> Json:
    """A manifest that says what it was made of, and which pod it goes with."""
    metadata = {**manifest["metadata"], "annotations": {_MADE_OF: hash_json(manifest)[:32]}}
    if owner is not None:
        name, uid = owner
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}]
    return {**manifest, "metadata": metadata}


def _ending(held: Json) -> str | None:
    """Why a job has failed, empty where it has ended well, None while it goes on."""
    for condition in held.get("status", {}).get("conditions", ()):
        if condition.get("type") in _ENDED and condition.get("status") == "True":
            told = ": ".join(part for part in (condition.get("reason"), condition.get("message")) if part)
            return _ENDED[condition["type"]] and (told or _ENDED[condition["type"]])
    return None


def _message(error: Any) -> str:
    """What the API says in the body of a refusal."""
    try:
        return one_line(ValueError(json.loads(error.body)["message"]))
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _named(manifest: Json) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"
