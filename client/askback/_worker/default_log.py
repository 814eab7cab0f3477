"""The log of a worker in a program without a logging configuration."""

from __future__ import annotations

import logging

_log = logging.getLogger("askback")


def log_to_stderr_by_default() -> None:
    """Write the log of `askback` to standard error, from INFO on, if it has no handler.

    This is for small programs: Python's default shows warnings only, and no line that the worker is
    connected. A program that has configured logging is not changed, whatever level it chose.
    """
    if _log.hasHandlers():
        return
    _log.addHandler(logging.StreamHandler())
    if _log.level == logging.NOTSET:
        _log.setLevel(logging.INFO)
