"""A failed request: gRPC's code and a message, whatever transport it came in by."""

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}
"""`grpc.StatusCode` by its number, which is also TensorFlow's error code."""


class ServingError(Exception):
    """What a request or the load of a version failed with.

    Attributes:
        code: the gRPC status code the client sees (REST maps it to an HTTP status).
        message: what was wrong, in the words TensorFlow Serving uses where it has words for it.
        refusal: one of `serving.exchange.REASONS`, where the request was refused before a model was asked.
    """

    def __init__(self, code: grpc.StatusCode, message: str, refusal: str | None = None):
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.refusal = refusal


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT, the most common one."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)
