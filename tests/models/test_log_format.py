"""Log lines as text and as JSON name the request that they were logged for."""

import json
import logging

from graft.models.log_format import JsonFormatter
from graft.models.text import REQUEST_ID, LogFormatter


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("graft.serving", logging.WARNING, "file.py", 1, message, args, info)


def test_json_lines_hold_what_text_lines_do():
    found = json.loads(JsonFormatter().format(record("%d calls\nof %s", 3, "n\x1b[2J")))
    assert found["time"].endswith("Z") and found["thread"] == "MainThread"
    assert (found["level"], found["logger"]) == ("WARNING", "graft.serving")
    assert found["message"] == "3 calls\nof n\x1b[2J" and "request_id" not in found


def test_a_line_is_one_line_whatever_it_holds():
    line = JsonFormatter().format(record("a\nb\u2028c", error=ValueError("x\ny")))
    assert len(line.splitlines()) == 1 and "ValueError: x" in json.loads(line)["traceback"]


def test_both_forms_name_the_request():
    token = REQUEST_ID.set("5f0c")
    try:
        assert json.loads(JsonFormatter().format(record("late")))["request_id"] == "5f0c"
        assert LogFormatter("%(message)s").format(record("late")) == "late (request 5f0c)"
    finally:
        REQUEST_ID.reset(token)
    assert LogFormatter("%(message)s").format(record("late")) == "late"
