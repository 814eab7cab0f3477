"""Logs the error of a job once, with the line of the user's function."""

from __future__ import annotations

import logging
import os
from types import TracebackType

_log = logging.getLogger("askback.worker")

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def log_failure(job: str, text: str, error: BaseException, raised: BaseException, *, trace: bool) -> None:
    """Log that a job failed with `error`, at its place in the user's code.

    `text` describes the error. `raised` is what the function raised: `error`, or a group that contains it.
    With `trace` the record has the traceback instead of `text`, beginning at the user's code.
    """
    users = _users_part(error.__traceback__) or _users_part(raised.__traceback__)
    if trace:
        _log.warning("job %s failed", job, exc_info=(type(error), error, users or error.__traceback__))
        return
    where = f" ({users.tb_frame.f_code.co_filename}:{users.tb_lineno})" if users is not None else ""
    _log.warning("job %s failed: %s%s", job, text, where)


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from its first frame outside this package."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace
