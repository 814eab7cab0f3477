"""The order of an inbox, in every console: what ends within minutes first."""

from datetime import UTC, datetime, timedelta

from askback import inbox_order
from askback._model.prompts import PromptInfo
from askback.terminal import prompt_list
from askback.terminal.prompt_list import PromptList
from askback.v1 import prompt_pb2 as pb

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def prompt(name: str, priority: int = 0, ends: float | None = None, asked: float = 0) -> PromptInfo:
    """A prompt that ends and was asked that many minutes from now."""
    info = PromptInfo(pb.Prompt(prompt_id=name, content=pb.PromptContent(title=name, priority=priority)))
    info.proto.create_time.FromDatetime(AT + timedelta(minutes=asked))
    if ends is not None:
        info.proto.expire_time.FromDatetime(AT + timedelta(minutes=ends))
    return info


WANTED = [
    prompt("over", -5, ends=-1),
    prompt("next", -5, ends=4.9),
    prompt("just", 0, ends=5),
    prompt("same end, low", -1, ends=5),
    prompt("high, hour", 9, ends=60),
    prompt("high, day", 9, ends=1440),
    prompt("high, old", 9, asked=-2),
    prompt("high, new", 9, asked=-1),
    prompt("six minutes", 0, ends=6),
    prompt("a", 0),
    prompt("b", 0),
]


def test_what_ends_within_five_minutes_comes_before_every_priority() -> None:
    found = WANTED[::-1]
    found.sort(key=lambda info: inbox_order(info, AT))
    assert [info.title for info in found] == [info.title for info in WANTED]


def test_the_consoles_of_the_terminal_have_this_order(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """And a prompt moves to the front when its end comes near, without a change from the service."""
    monkeypatch.setattr(prompt_list, "now", lambda: AT)
    shown = PromptList()
    for info in reversed(WANTED):
        shown.put(info)  # type: ignore[arg-type]
    assert [row.prompt.title for row in shown.open_rows()] == [info.title for info in WANTED]
    monkeypatch.setattr(prompt_list, "now", lambda: AT + timedelta(minutes=56))
    titles = [row.prompt.title for row in shown.open_rows()]
    assert titles.index("high, hour") == titles.index("six minutes") + 1 == 5
