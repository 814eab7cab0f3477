"""The demo's web page: its address, and the browser of a person at a desktop."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from askback.demo import processes
from askback.demo.narrator import Narrator
from askback.demo.story import Story


def page_port() -> int | None:
    """A port for the page; None if the extra `web` is not installed."""
    installed = all(find_spec(name) for name in ("joserfc", "starlette", "uvicorn", "websockets"))
    return processes.free_port() if installed else None


def show_page(narrator: Narrator, story: Story, port: int) -> None:
    """Say where the page is, and open it at a desktop."""
    address = f"http://127.0.0.1:{port}"
    groups = f", groups {', '.join(story.groups)}" if story.groups else ""
    narrator.say("page", f"is at {address}: answer there or here; sign in as {story.user}{groups}")
    if _has_desktop():
        import webbrowser

        webbrowser.open(address)


def _has_desktop() -> bool:
    """Whether a browser can open a window where the person sits."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
