"""How the command logs: text for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import logging.config
from datetime import datetime, timezone

from walkie_signal.bounded_log import BoundedLog


class JsonFormatter(logging.Formatter):
    """Writes one JSON object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record, including its traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Remove the traceback if uvicorn logs that a client's text is not UTF-8, which is not a fault of ours."""
    if "Invalid UTF-8" in str(record.msg):
        record.exc_info = None
    return True


class Bounds:
    """Bounds the warnings of uvicorn's protocol classes, because a client can cause any number of them."""

    def __init__(self) -> None:
        self._lines = BoundedLog(logging.getLogger("walkie_signal"))

    def __call__(self, record: logging.LogRecord) -> bool:
        """Tell whether to write a line as it is; a warning is written here instead, within the bounds of its kind.

        The text of a warning without its arguments is uvicorn's or ours, so it can be the kind.
        """
        if record.levelno != logging.WARNING or record.exc_info:
            return True
        kind = str(record.msg).partition("%")[0].rstrip(" ;.,:")
        self._lines.write(record.levelno, kind, str(record.msg), *(record.args or ()))
        return False


def set_up_logs(level: str, log_format: str, *, several: bool) -> None:
    """Log to standard error from `level` on; if there are several processes, each line has the process id.

    uvicorn only logs warnings and errors: at the level info it logs the path of each WebSocket with its query,
    which may contain a token.
    """
    process = "[%(process)d] " if several else ""
    text = {"format": f"%(asctime)s %(levelname)-7s {process}%(message)s"}
    formatter = {"()": JsonFormatter} if log_format == "json" else text
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                name: {"level": "WARNING"} for name in ("uvicorn", "uvicorn.error", "engineio", "socketio")
            },
        }
    )
    logging.getLogger("uvicorn.error").addFilter(_without_traceback)
    logging.getLogger("uvicorn.error").addFilter(Bounds())
