"""Asks a server by gRPC with the stubs that TensorFlow Serving publishes, without Graft.

pip install grpcio tensorflow-serving-api
python docs/examples/predict_grpc.py [--server localhost:8500] [--model flowers] FILE...

The stubs bring TensorFlow, whose import takes seconds; Graft's own client does without, has deadlines and tries again.
"""

import argparse
import pathlib
import sys

import grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def predict(server: str, model: str, files: list[pathlib.Path], timeout: float) -> list[tuple[str, float]]:
    """Label and probability of each file, in their order. Raises grpc.RpcError."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_default"
    images = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[file.read_bytes() for file in files])
    images.tensor_shape.dim.add(size=len(files))
    request.inputs["image_bytes"].CopyFrom(images)
    request.output_filter.extend(["label", "probabilities"])
    with grpc.insecure_channel(server) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
    labels = [label.decode() for label in answer.outputs["label"].string_val]
    probabilities = answer.outputs["probabilities"]
    classes = probabilities.tensor_shape.dim[1].size
    rows = zip(*[iter(floats(probabilities))] * classes, strict=True)
    return [(label, max(row)) for label, row in zip(labels, rows, strict=True)]


def floats(tensor: tensor_pb2.TensorProto) -> list[float]:
    """The values of a float32 tensor; a server may send them as bytes or as numbers."""
    return list(memoryview(tensor.tensor_content).cast("f")) if tensor.tensor_content else list(tensor.float_val)


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict files by gRPC.")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--model", default="flowers")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds")
    args = parser.parse_args()
    try:
        answers = predict(args.server, args.model, args.files, args.timeout)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    for file, (label, probability) in zip(args.files, answers, strict=True):
        print(f"{file}: {label} {probability:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
