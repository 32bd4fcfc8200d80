"""Asks a server by REST, with Python's standard library alone: neither Graft nor TensorFlow is needed.

python docs/examples/predict_rest.py [--server http://localhost:8501] [--model flowers] FILE...
"""

import argparse
import base64
import json
import pathlib
import sys
import urllib.error
import urllib.request


def predict(server: str, model: str, files: list[pathlib.Path], timeout: float) -> list[dict]:
    """The answers, in the order of the files. Raises RuntimeError with what the server says."""
    instances = [{"image_bytes": {"b64": base64.b64encode(file.read_bytes()).decode()}} for file in files]
    request = urllib.request.Request(
        f"{server}/v1/models/{model}:predict",
        json.dumps({"signature_name": "serving_default", "instances": instances}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{error.code}: {json.load(error)['error']}") from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict files by REST.")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--server", default="http://localhost:8501")
    parser.add_argument("--model", default="flowers")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds")
    args = parser.parse_args()
    try:
        answers = predict(args.server, args.model, args.files, args.timeout)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    for file, answer in zip(args.files, answers, strict=True):
        print(f"{file}: {answer['label']} {max(answer['probabilities']):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
