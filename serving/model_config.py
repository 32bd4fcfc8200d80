"""The text form of TensorFlow Serving's ModelServerConfig, written without importing TensorFlow."""

import json


def format_models_config(models: list[tuple[str, str, int]]) -> str:
    """A `model_config_list` that pins each model to one version.

    Args:
        models: (name, base path, version) of each.

    Returns:
        Text for `--model_config_file`; with `--model_config_file_poll_wait_seconds` the real server follows it.
    """
    entries = [
        f"  config {{\n    name: {_quoted(name)}\n    base_path: {_quoted(base)}\n"
        '    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ specific {{ versions: {version} }} }}\n  }}\n"
        for name, base, version in models
    ]
    return f"model_config_list {{\n{''.join(entries)}}}\n"


def _quoted(text: str) -> str:
    # JSON's escapes of ASCII are a subset of protobuf text format's; other characters go as they are, in UTF-8.
    return json.dumps(text, ensure_ascii=False)
