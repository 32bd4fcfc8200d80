"""Log lines as JSON objects, for programs that collect them: `graft serve --log-format json`."""

import datetime
import json
import logging

from graft.models.text import REQUEST_ID


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: `time` (ISO 8601, UTC), `level`, `logger`, `message`, `thread`.

    `request_id` is added where the line was logged for a request, `traceback` where an exception was.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        value = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "thread": record.threadName,
        }
        if request_id := REQUEST_ID.get():
            value["request_id"] = request_id
        if record.exc_info:
            value["traceback"] = self.formatException(record.exc_info)
        return json.dumps(value)
