"""Which devices and processes a training takes; two devices and two workers are in the tests of trainer and workers."""

import types

import numpy as np
import pytest
import tensorflow as tf

from graft.models import strategy
from graft.models.errors import GraftError

ONE = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'


@pytest.mark.parametrize("text", ["", ONE, '{"cluster": {}}'], ids=["none", "one", "empty"])
def test_without_other_workers_the_only_process_leads(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    chosen = strategy.choose()
    assert not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy)
    assert strategy.leads(chosen)
    values = np.array([0.1, 1e300])
    assert strategy.agree(chosen, values) is values


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": [1]}', '{"cluster": {"worker": 1}}'])
def test_a_cluster_that_cannot_be_read_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(GraftError, match=r"TF_CONFIG: received .*; allowed: JSON as TensorFlow defines it"):
        strategy.choose()


@pytest.mark.parametrize(
    ("jobs", "place", "first"),
    [
        (["worker"], ("worker", 0), True),
        (["worker"], ("worker", 1), False),
        (["chief", "worker"], ("chief", 0), True),
        (["chief", "worker"], ("worker", 0), False),
    ],
)
def test_the_chief_leads(monkeypatch, jobs, place, first):
    """As TensorFlow counts: worker 0 where there is no other chief."""
    monkeypatch.setattr(strategy, "_of_several", lambda chosen: True)
    cluster = tf.train.ClusterSpec({job: ["a:1", "b:1"] for job in jobs})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, task_type=place[0], task_id=place[1])
    assert strategy.leads(types.SimpleNamespace(cluster_resolver=resolver)) is first
