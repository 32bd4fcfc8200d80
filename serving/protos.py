"""TensorFlow Serving's official message classes and stubs, without the seconds that importing TensorFlow takes.

`tensorflow_serving.apis` needs only the generated modules below `tensorflow.core`, yet importing those runs
`tensorflow/__init__.py` (about 7 s, against 0.3 s this way). So while they are imported, a bare package of that name
stands in, and then makes room: a later `import tensorflow` is the real one and shares the same message classes.
"""

import importlib.util
import pathlib
import sys
import types


def _stand_in() -> types.ModuleType | None:
    if "tensorflow" in sys.modules:
        return None
    found = importlib.util.find_spec("tensorflow")
    if found is None or found.origin is None:
        return None
    package = types.ModuleType("tensorflow")
    package.__path__ = [str(pathlib.Path(found.origin).parent)]
    sys.modules["tensorflow"] = package
    return package


_package = _stand_in()
try:
    from tensorflow.core.example import example_pb2
    from tensorflow.core.framework import tensor_pb2, types_pb2
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_log_pb2,
        prediction_service_pb2_grpc,
    )
finally:
    if _package is not None:
        del sys.modules["tensorflow"]

__all__ = [
    "example_pb2",
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "model_pb2",
    "model_service_pb2_grpc",
    "predict_pb2",
    "prediction_log_pb2",
    "prediction_service_pb2_grpc",
    "tensor_pb2",
    "types_pb2",
]
