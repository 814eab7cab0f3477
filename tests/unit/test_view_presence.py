"""A viewer is present while the console sends frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from askback_server.ports.queries import PromptFilter
from askback_server.sessions.view_presence import MAX_SILENT_BEATS, ViewPresence

ONE, OTHER = PromptFilter("one"), PromptFilter("other")


class FakeTracker:
    """Records which views enter and leave."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def enter(self, view: PromptFilter) -> Callable[[], None]:
        self.calls.append(("enter", view.namespace))
        return lambda: self.calls.append(("leave", view.namespace))


def presence() -> tuple[FakeTracker, ViewPresence]:
    tracker: Any = FakeTracker()
    return tracker, ViewPresence(tracker)


def test_a_frame_within_three_beats_keeps_a_viewer_present() -> None:
    tracker, shown = presence()
    shown.note_frame()
    shown.show(ONE)
    for _ in range(10):
        for _ in range(MAX_SILENT_BEATS - 1):
            shown.note_beat()
        shown.note_frame()
    assert tracker.calls == [("enter", "one")]
    shown.close()
    shown.close()
    assert tracker.calls == [("enter", "one"), ("leave", "one")]


def test_a_silent_console_leaves_once_and_comes_back_with_a_frame() -> None:
    tracker, shown = presence()
    shown.show(ONE)
    for _ in range(2 * MAX_SILENT_BEATS):
        shown.note_beat()
    assert tracker.calls == [("enter", "one"), ("leave", "one")]
    shown.show(OTHER)  # its access has changed
    assert len(tracker.calls) == 2
    shown.note_frame()
    assert tracker.calls[2:] == [("enter", "other")]


def test_another_view_takes_the_place_of_the_first() -> None:
    tracker, shown = presence()
    shown.show(ONE)
    shown.show(OTHER)
    assert tracker.calls == [("enter", "one"), ("leave", "one"), ("enter", "other")]
    shown.close()
    shown.note_frame()
    assert tracker.calls[3:] == [("leave", "other")]
