"""TensorFlow's errors in one line for people."""

import re

import tensorflow as tf


def op_message(error: tf.errors.OpError) -> str:
    """The op's own words, without the names of nodes and the traceback of the graph; at most 300 characters."""
    lines = [re.sub(r"\{\{.*?\}\}|\[Op:.*", "", line).strip() for line in error.message.splitlines()]
    around = ("Graph execution error", "Detected at", "File ", "[[")
    return next((line for line in lines if line and not line.startswith(around)), "no message")[:300]
