"""How tests start Chromium. Imports no Playwright, so that tests can be skipped where it is missing."""

from __future__ import annotations

from typing import Any

from scripts.chromium import find_chromium
from tests.support.requirements import absent

START_MS = 120_000
"""Playwright gives up after 30 s, which a busy machine may need to start a browser."""

_DISABLED = (
    # The suggestions below the address bar: a page of their own for each browser context, though there is no
    # window. They took half of the browser's CPU time.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # A renderer process in reserve, for each page.
    "SpareRendererForSitePerProcess",
    # Chromium obeys the last list only, so this one repeats what matters of Playwright's.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
)
"""Features of Chromium that the tests do without."""


def launch_options() -> dict[str, Any]:
    """The arguments of Playwright's `launch`. Skips the test where there is no Chromium."""
    path = find_chromium()
    if path is None:
        absent("chromium", "no Chromium on this machine")
    args = [f"--disable-features={','.join(_DISABLED)}"]
    return {"executable_path": path, "args": args, "timeout": START_MS}
