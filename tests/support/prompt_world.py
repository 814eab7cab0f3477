"""Prompts that change at random and a console that checks what a PromptView sends it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from askback_server.domain.content import PromptContent
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.ports.queries import PromptFilter, PromptPosition
from askback_server.sessions.frames import CaughtUp, Closed, Removed, Reset, Upserted
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.snapshot import urgency, urgency_at

START = datetime(2030, 1, 1, tzinfo=UTC)
ANN = Principal("ann", frozenset({Role.CONSOLE}))
FILTER = PromptFilter("default", viewer=ANN, labels={"x": "1"})


def image(
    number: int,
    version: int,
    *,
    mine: bool = True,
    closed: bool = False,
    revision: int = 1,
    priority: int | None = None,
) -> Prompt:
    priority = number % 3 if priority is None else priority
    content = PromptContent("confirm", f"{number}", priority=priority, labels={"x": "1" if mine else "2"})
    prompt = Prompt(
        f"p{number}",
        "j",
        "default",
        "t",
        "k",
        number,
        revision,
        version,
        PromptState.PENDING,
        content,
        "",
        "",
        START,
        START,
        START + timedelta(hours=number % 2 + 1),
    )
    if not closed:
        return prompt
    return replace(
        prompt, state=PromptState.ANSWERED, resolution=Resolution(PromptState.ANSWERED, "bob", START)
    )


class Console:
    """A console's state after the frames that it received. It fails on a frame that must not be sent."""

    def __init__(self, known: dict[str, Prompt] | None = None) -> None:
        self.has = dict(known or {})
        self.versions: dict[str, int] = {k: p.version for k, p in self.has.items()}
        self.ended: set[str] = set()
        self.caught_up: int | None = None

    def hear(self, event: object) -> None:
        match event:
            case Upserted(prompt):
                assert prompt.is_open
                assert FILTER.matches(prompt)
                assert prompt.prompt_id not in self.ended
                assert prompt.version > self.versions.get(prompt.prompt_id, 0)
                self.versions[prompt.prompt_id] = prompt.version
                self.has[prompt.prompt_id] = prompt
            case Closed(prompt):
                assert not prompt.is_open
                assert prompt.version > self.versions.get(prompt.prompt_id, 0)
                self.versions[prompt.prompt_id] = prompt.version
                self.ended.add(prompt.prompt_id)
                self.has.pop(prompt.prompt_id, None)
            case Removed(prompt_id, version):
                assert version > self.versions.get(prompt_id, 0)
                self.versions[prompt_id] = version
                self.has.pop(prompt_id, None)
            case CaughtUp(_, count):
                assert self.caught_up is None
                self.caught_up = count
            case Reset():
                self.has.clear()
                self.versions.clear()
                self.caught_up = None


changes = st.tuples(st.integers(0, 4), st.sampled_from(["open", "away", "close", "old"]))
takes = st.integers(1, 3).map(lambda n: ("take", n))
credits = st.integers(1, 2).map(lambda n: ("credit", n))


class World:
    """The current prompts, and every earlier image of them."""

    def __init__(self) -> None:
        self.now: dict[int, Prompt] = {}
        self.past: list[Prompt] = []
        self.version = 0
        self.seen: dict[str, int] = {}

    def change(self, number: int, how: str) -> Prompt | None:
        known = self.now.get(number)
        if how == "old":
            return self.past[number % len(self.past)] if self.past else None
        if known is not None and not known.is_open:
            return None
        if known is None and how != "open":
            return None
        self.version += 1
        revision = 1 if known is None else known.revision + (how != "close")
        mine = how != "away" if how != "close" else known is not None and known.content.labels["x"] == "1"
        priority = {"up": 3, "down": -1}.get(how, known.content.priority if known is not None else None)
        prompt = image(
            number, self.version, mine=mine, closed=how == "close", revision=revision, priority=priority
        )
        self.now[number] = prompt
        self.past.append(prompt)
        return prompt

    @property
    def shown(self) -> dict[str, Prompt]:
        return {p.prompt_id: p for p in self.now.values() if p.is_open and FILTER.matches(p)}

    def page(
        self, after: PromptPosition | None, limit: int = 1_000
    ) -> tuple[list[Prompt], PromptPosition | None]:
        """The prompts after a position, as the database has them, and where the page ends."""
        rest = sorted(self.shown.values(), key=urgency)
        if after is not None:
            rest = [p for p in rest if urgency(p) > urgency_at(after)]
        found = rest[:limit]
        return found, position(found[-1]) if len(found) < len(rest) else None


def position(prompt: Prompt) -> PromptPosition:
    deadline = prompt.expires_at.isoformat() if prompt.expires_at else None
    return prompt.content.priority, deadline, prompt.prompt_id


def settle(view: PromptView, console: Console) -> None:
    view.give_credit(1_000, 1_000)
    while view.has_news:
        events = view.take(7, lambda: "token")
        assert events, "news that never comes"
        for event in events:
            console.hear(event)
