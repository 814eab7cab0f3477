"""Where a worker's log goes in a program that has set up no logging."""

from __future__ import annotations

import logging

_log = logging.getLogger("askback")


def log_to_stderr_by_default() -> None:
    """Show the log of `askback` from INFO on, on standard error, if no handler would take it.

    For programs of a few lines: Python alone would show their warnings and leave out that all is well. A
    program that sets up logging before is left as it is, whatever level it chose.
    """
    if _log.hasHandlers():
        return
    _log.addHandler(logging.StreamHandler())
    if _log.level == logging.NOTSET:
        _log.setLevel(logging.INFO)
