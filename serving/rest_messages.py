"""Messages of the API as the JSON and the paths of its REST side."""

import functools
import json
import urllib.parse

from google.protobuf import json_format

from graft.serving.protos import get_model_metadata_pb2
from graft.serving.status import invalid


def version_number(text: str | None) -> int | None:
    """Of a path. Raises ServingError: it is no number of a version."""
    if text is None:
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > 19 or int(digits) >= 2**63:
        raise invalid(f"Failed to convert version: {text[:40]}{'...' if len(text) > 40 else ''} to numeric.")
    return int(digits)


def fill_spec(spec, name: str, version: str | None, label: str | None) -> None:
    """Says in a message what a path says. Raises ServingError."""
    spec.name = urllib.parse.unquote(name)
    number = version_number(version)
    if number is not None:
        spec.version.value = number
    elif label is not None:
        spec.version_label = urllib.parse.unquote(label)


@functools.cache
def _print_options() -> dict[str, bool]:
    # protobuf 5 renamed the option.
    old, new = "including_default_value_fields", "always_print_fields_with_no_presence"
    name = new if new in json_format.MessageToDict.__code__.co_varnames else old
    return {"preserving_proto_field_name": True, name: True}


def message_json(message) -> str:
    """A message as upstream writes it."""
    return json_format.MessageToJson(message, indent=1, **_print_options())


def metadata_json(response: get_model_metadata_pb2.GetModelMetadataResponse) -> str:
    """The signatures as upstream writes them."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    content = {
        "model_spec": json_format.MessageToDict(response.model_spec, **_print_options()),
        "metadata": {"signature_def": json_format.MessageToDict(signatures, **_print_options())},
    }
    return json.dumps(content, indent=1)
