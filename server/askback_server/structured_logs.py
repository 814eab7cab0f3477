"""Formats log lines as text or JSON. Lines have the ids of jobs and prompts, never the content of answers."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

from askback_server.transport.call_context import CURRENT
from askback_server.transport.call_ends import is_worth_a_line

_log = logging.getLogger("askback.server")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {k: v for k, v in record.__dict__.items() if k not in _STANDARD}


_JSON = json.JSONEncoder(default=str, ensure_ascii=False)
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""Characters that JSON does not escape, and that some readers take for the end of a line."""


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the extras of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _JSON.encode(line).translate(_LINE_ENDS)


class TextLines(logging.Formatter):
    """The same as text, with the time in the local zone."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of text."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        in_message = set(map(str, record.args)) if isinstance(record.args, tuple) else set()
        # Escaped, because a caller's text must not start a new line. Values of the message are not repeated.
        extras = "".join(
            f" {k}={v if str(v).isprintable() else repr(v)}"
            for k, v in _extras(record).items()
            if str(v) not in in_message
        )
        line = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}{extras}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def add_request_id(record: logging.LogRecord) -> bool:
    """Add the id of the current call to a record of any logger. Returns True, to keep the record."""
    call = CURRENT.get(None)
    if call is not None and not hasattr(record, "request_id"):
        record.request_id = call.request_id
    return True


def announce(format: str, address: str, page: str = "") -> None:
    """Print on standard output that the service accepts calls at HOST:PORT, whatever the log level.

    `page` is the address of the web page, if there is one. As JSON it is a line like those of the log, with
    the fields `address` and `page`.
    """
    text = f"askback serves on {address}" + (f", and the page at {page}" if page else "")
    if format == "json":
        fields = {"address": address, "page": page} if page else {"address": address}
        record = _log.makeRecord(_log.name, logging.INFO, "", 0, text, (), None, extra=fields)
        text = JsonLines().format(record)
    print(text, flush=True)


def configure(format: str, level: str) -> None:
    """Log to standard error in this format, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    handler.addFilter(add_request_id)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING")
    logging.getLogger("grpc._cython.cygrpc").addFilter(is_worth_a_line)


def log_uncaught_errors() -> None:
    """Send uncaught errors of all threads, and warnings, to the log."""
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda hook: _log_uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
    sys.unraisablehook = lambda hook: _log.error(
        "%s %r", hook.err_msg or "an error was ignored in", hook.object, exc_info=hook.exc_value
    )


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
    elif not issubclass(kind, SystemExit):  # a thread may end with it
        _log.critical("uncaught error", exc_info=(kind, error or kind(), trace))
