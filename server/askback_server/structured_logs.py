"""Logs as lines of text or JSON, with the ids of what they speak of, never an answer's content."""

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

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {k: v for k, v in record.__dict__.items() if k not in _OWN}


_JSON = json.JSONEncoder(default=str, ensure_ascii=False)
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What JSON lets pass, and some readers of lines take for the end of one."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the record's extras."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
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
    """The same for people, the time with its date and local zone."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        said = set(map(str, record.args)) if isinstance(record.args, tuple) else set()
        # A caller's word must not begin a line of its own, and what the message says is not said twice.
        extras = "".join(
            f" {k}={v if str(v).isprintable() else repr(v)}"
            for k, v in _extras(record).items()
            if str(v) not in said
        )
        line = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}{extras}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def name_the_call(record: logging.LogRecord) -> bool:
    """Give a record the id of the call in whose service it was made, whoever made it."""
    call = CURRENT.get(None)
    if call is not None and not hasattr(record, "request_id"):
        record.request_id = call.request_id
    return True


def announce(format: str, address: str) -> None:
    """Say on standard output that the service takes calls at HOST:PORT, whatever the level of the log.

    As JSON that is a line like those of the log, with the `address`.
    """
    text = f"askback serves on {address}"
    if format == "json":
        record = _log.makeRecord(_log.name, logging.INFO, "", 0, text, (), None, extra={"address": address})
        text = JsonLines().format(record)
    print(text, flush=True)


def configure(format: str, level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    handler.addFilter(name_the_call)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING")
    logging.getLogger("grpc._cython.cygrpc").addFilter(is_worth_a_line)


def log_the_uncaught() -> None:
    """Errors that nobody catches, in any thread, and warnings become lines like all others."""
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda hook: _uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
    sys.unraisablehook = lambda hook: _log.error(
        "%s %r", hook.err_msg or "an error was ignored in", hook.object, exc_info=hook.exc_value
    )


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
    elif not issubclass(kind, SystemExit):  # by which a thread may end
        _log.critical("nobody caught this error", exc_info=(kind, error or kind(), trace))
