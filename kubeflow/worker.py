"""What each worker of a training runs, in a pod or as a process of this machine.

    python -m graft.kubeflow.worker FOLDER [--workers N --hosts PATTERN]

FOLDER is a `job_folder.JobFolder` that the task of the stage has filled. Who the others are says `TF_CONFIG`, which a
TFJob sets; with --workers and --hosts it is made of them and of JOB_COMPLETION_INDEX, which Kubernetes sets in the pods
of an indexed Job.

A worker that loses another one ends with an error, for TensorFlow cannot go on without it: started again, all go on
from the last checkpoint. Any other error is written into the folder, where the task looks: to try again would not
help.
"""

import argparse
import json
import logging
import os
import pathlib
import re
import sys
from collections.abc import Sequence

from graft.kubeflow import pod
from graft.kubeflow.job_folder import JobFolder
from graft.models.errors import GraftError, one_line

TF_CONFIG, INDEX = "TF_CONFIG", "JOB_COMPLETION_INDEX"
"""Environment variables: set by TensorFlow's custom and by Kubernetes."""

_COLLECTIVE = re.compile(r"nccl|collective", re.I)
"""In the message of an error of another kind that means the same: NCCL's are internal errors."""


class PeerLost(GraftError):
    """Another worker is gone, or never came."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains with the others; returns the exit code."""
    parser = argparse.ArgumentParser(prog="graft.kubeflow.worker", allow_abbrev=False)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--workers", type=int, help="how many there are")
    parser.add_argument("--hosts", help="address of each, with {} for its number: job-node-0-{}.job:2222")
    given = parser.parse_args(arguments)
    return pod.run(lambda: work(JobFolder(given.folder), given.workers, given.hosts), "train")


def work(folder: JobFolder, workers: int | None = None, hosts: str | None = None) -> None:
    """Trains; returns when the results of all are in the folder.

    Raises:
        PeerLost: another worker is gone; start all anew.
        GraftError: the training failed, here or before in another worker.
    """
    if folder.done:
        return
    if failure := folder.failure:
        raise GraftError(failure)
    index = join(workers, hosts)
    handler = logging.FileHandler(folder.log(index), encoding="utf-8")
    handler.setFormatter(logging.Formatter(f"worker {index}: %(message)s"))
    logging.getLogger("graft").addHandler(handler)
    try:
        _train(folder, index)
    except PeerLost:
        raise
    except Exception as error:
        from graft.pipeline import failures

        folder.fail(failures.explain(error, "train")[0])
        raise
    finally:
        logging.getLogger("graft").removeHandler(handler)
        handler.close()


def join(workers: int | None, hosts: str | None) -> int:
    """Sets `TF_CONFIG` where it is not set; returns the number of this worker.

    Raises:
        GraftError: it is set to no valid text, or there is nothing to make it of.
    """
    if workers is not None and hosts is not None:
        index = os.environ.get(INDEX, "")
        if not (index.isascii() and index.isdigit() and int(index) < workers):
            raise GraftError(
                f"{INDEX}: received {index!r}; allowed: a number below {workers}, as an indexed Job sets it"
            )
        cluster = {"worker": [hosts.format(number) for number in range(workers)]}
        os.environ[TF_CONFIG] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": int(index)}})
    try:
        return int(json.loads(os.environ[TF_CONFIG])["task"]["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise GraftError(
            f"{TF_CONFIG}: received {os.environ.get(TF_CONFIG, 'nothing')[:200]}; allowed: JSON with cluster and task, "
            "as a TFJob sets it, or --workers and --hosts"
        ) from error


def _train(folder: JobFolder, index: int) -> None:
    # Imported here: the folder may say that there is nothing to do, and TensorFlow takes seconds.
    import numpy as np
    import tensorflow as tf

    from graft.models import strategy as strategies
    from graft.models import trainer

    logger = logging.getLogger("graft.kubeflow.worker")
    try:
        logger.info("waits for the other workers")
        try:
            strategy = strategies.choose()
        except (tf.errors.OpError, RuntimeError) as error:  # there is nothing else that could have failed
            raise PeerLost(f"worker {index}: the other workers cannot be joined: {one_line(error)}") from error
        if strategies.leads(strategy):
            folder.clear_results()
        trainer.run_fn(folder.arguments(), strategy)
        if strategies.leads(strategy):
            folder.finish()
        # The others wait: if the chief dies before the end, it needs them.
        strategies.agree(strategy, np.zeros(1, np.float32))
        logger.info("done")
    except tf.errors.OpError as error:
        if not (isinstance(error, _lost()) or _COLLECTIVE.search(error.message or "")):
            raise
        line = f"worker {index}: another worker is gone; started again, all go on from the last checkpoint"
        logger.info("%s (%s)", line, one_line(error))
        raise PeerLost(line) from error


def _lost() -> tuple[type[Exception], ...]:
    """What TensorFlow raises where another process of the cluster does not answer any more."""
    from tensorflow import errors

    return errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError


if __name__ == "__main__":
    sys.exit(main())
