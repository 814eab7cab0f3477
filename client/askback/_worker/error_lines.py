"""A job's error in the worker's log: once, and with the line of the user's function."""

from __future__ import annotations

import logging
import os
from types import TracebackType

_log = logging.getLogger("askback.worker")

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def log_failure(job: str, told: str, error: BaseException, raised: BaseException, *, trace: bool) -> None:
    """Say that a job failed with `error`, which reads `told`, at the place in the user's code.

    `raised` is what the function raised: `error`, or a group with it. With `trace` the record carries the
    traceback, from the user's code on, which says the error itself.
    """
    users = _users_part(error.__traceback__) or _users_part(raised.__traceback__)
    if trace:
        _log.warning("job %s failed", job, exc_info=(type(error), error, users or error.__traceback__))
        return
    where = f" ({users.tb_frame.f_code.co_filename}:{users.tb_lineno})" if users is not None else ""
    _log.warning("job %s failed: %s%s", job, told, where)


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not of this package."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace
