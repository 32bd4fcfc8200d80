"""The training of several workers, as the pipeline's own task sees it: `run_fn` of TFX's Trainer.

It copies the inputs to a folder on the volume that all pods share, starts a job, says what the chief logs, and brings
the results to where TFX wants them. At the end, and when its own pod is told to go, it deletes the job. Tried again
after it was killed, it finds its job by the name, which is made of the run's id.
"""

import hashlib
import logging
import os
import pathlib
import time
from typing import Protocol

from graft.kubeflow import cluster_job, jobs, local_job, pod
from graft.kubeflow.job_folder import JobFolder
from graft.models.errors import GraftError
from graft.models.fn_args import FnArgs

RUN = "GRAFT_RUN_ID"
"""Environment variable: the run's id."""

log = logging.getLogger(__name__)


class Job(Protocol):
    """Workers that were started somewhere."""

    def start(self) -> None:
        """Starts them, or finds them running; raises GraftError where that is impossible."""

    def failure(self) -> str | None:
        """Looks at them: why they have failed for good, empty where they have ended well, None while they go on."""

    def end(self, wait: bool = True) -> None:
        """Stops them, if they run, and deletes what stands for them; does nothing a second time."""


def run_fn(fn_args: FnArgs) -> None:
    """Trains by several workers.

    Args:
        fn_args: as for `models.trainer.run_fn`; `custom_config` holds what `jobs.described` gives, too.

    Raises:
        GraftError: the job cannot be started or has failed, with the words of the worker that says why.
    """
    told = fn_args.custom_config.pop(jobs.KEY)
    shared = fn_args.custom_config.get("checkpoint_dir")
    run = os.environ.get(RUN)
    if not run or not shared:
        raise GraftError(
            f"{RUN}: received {run or 'nothing'}; the task of several workers needs the run's id and a folder for "
            "checkpoints, as the file that graft kubeflow compile wrote gives them"
        )
    name = job_name(run)
    folder = JobFolder(pathlib.Path(shared).parent / "workers" / name)
    job: Job
    if os.environ.get(local_job.LOCAL):
        job = local_job.LocalJob(folder, told["count"], told["retries"])
    else:
        job = cluster_job.ClusterJob.in_pod(jobs.named(told["manifests"], name, str(folder.path)))
    with pod.ending(lambda: job.end(wait=False)):
        try:
            folder.sweep()
            if not folder.done:
                folder.fill(fn_args)
                folder.retry()
                job.start()
                log.info("%d workers train; job %s", told["count"], name)
                follow(job, folder)
            folder.take(fn_args)
        finally:
            job.end()
            folder.discard()


def job_name(run: str) -> str:
    """Of the training of a run: a name that Kubernetes takes for a host, short enough for what it adds to it."""
    return f"graft-train-{hashlib.sha256(run.encode()).hexdigest()[:12]}"


def follow(job: Job, folder: JobFolder, every: float = 2.0) -> None:
    """Waits for the end of a job, and says what its chief logs.

    Args:
        job: that was started.
        folder: of it.
        every: seconds between two looks.

    Raises:
        GraftError: the job has failed.
    """
    said = 0
    while True:
        ended = job.failure()
        said = _say(folder, said)
        if folder.done:
            return
        if failure := folder.failure:
            raise GraftError(failure)
        if ended is not None:
            raise GraftError(
                f"train: the job of the workers has ended without a result: {ended or 'it says that all went well'}; "
                "what each has said stands in the logs of their pods"
            )
        time.sleep(every)


def _say(folder: JobFolder, said: int) -> int:
    """Logs what has come to the chief's log since `said` bytes of it; returns the bytes that are said now."""
    try:
        with folder.log(0).open("rb") as file:
            file.seek(said)
            whole = file.read().rpartition(b"\n")[0]
    except FileNotFoundError:
        return said
    for line in whole.decode("utf-8", "replace").splitlines():
        log.info("%s", line)
    return said + len(whole) + 1 if whole else said
