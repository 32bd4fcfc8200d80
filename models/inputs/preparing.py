"""`Input.prepare`, traced once a process: that may take longer than preparing many examples."""

import functools
import json
from collections.abc import Callable

import tensorflow as tf

from graft.models.inputs import make_input, parse_options
from graft.models.inputs.base import Input


def preparer(input: Input) -> Callable[[tf.Tensor], tf.Tensor]:
    """The same function for all inputs whose settings prepare alike; a graph may call it too.

    Returns:
        a function from strings [n] to a batch of `input.spec`; n may be 0.
    """
    return _traced(json.dumps(input.prepared_by, sort_keys=True))


@functools.cache
def _traced(prepared_by: str) -> Callable[[tf.Tensor], tf.Tensor]:
    input = make_input(parse_options(json.loads(prepared_by)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def prepare(contents: tf.Tensor) -> tf.Tensor:
        return input.prepare(contents)

    return prepare.get_concrete_function()
