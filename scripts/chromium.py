"""Finds the Chromium of this machine."""

from __future__ import annotations

import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The path of the browser; None if it is not installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)
