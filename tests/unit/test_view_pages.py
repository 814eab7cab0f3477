"""A view of prompts that is read in pages: prompts change while a page is on its way."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptPosition
from askback_server.sessions.frames import Bookmark, CaughtUp, Removed, Reset, Upserted
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.snapshot import urgency
from tests.support.prompt_world import FILTER, Console, World, credits, image, position, settle, takes

more_changes = st.tuples(st.integers(0, 9), st.sampled_from(["open", "up", "down", "away", "close"]))
pages = st.one_of(st.integers(1, 3).map(lambda n: ("ask for a page", n)), st.just(("add the page", 0)))


class Reader:
    """Reads a view page by page, as the follower does, with commits and takes while a page is on its way."""

    def __init__(self, view: PromptView, world: World) -> None:
        self.view = view
        self.world = world
        self.after: PromptPosition | None = None
        self.on_its_way: tuple[list[Prompt], PromptPosition | None] | None = None
        self.is_done = False

    def step(self, what: object, size: int) -> None:
        if what == "ask for a page" and self.on_its_way is None and not self.is_done:
            self.view.expect_page()
            self.on_its_way = self.world.page(self.after, size)
        elif what == "add the page" and self.on_its_way is not None:
            page, self.after = self.on_its_way
            self.on_its_way = None
            self.view.add_page(page, self.after)
            self.is_done = self.after is None
            if self.is_done:
                self.view.finish_load()

    def finish(self) -> None:
        while not self.is_done:
            self.step("ask for a page", 2)
            self.step("add the page", 0)


@given(
    st.lists(more_changes, max_size=12),
    st.lists(st.one_of(more_changes, pages, takes, credits), max_size=40),
    st.one_of(st.none(), st.integers(1, 3)),
)
@example([(0, "open")], [("ask for a page", 1), (1, "open"), ("add the page", 0)], None)
@example(
    [(0, "open"), (1, "open")], [("ask for a page", 2), (1, "up"), (1, "down"), ("add the page", 0)], None
)
@example([(0, "open")], [("ask for a page", 1), (0, "close"), ("add the page", 0)], None)
@settings(max_examples=4 * settings.default.max_examples, deadline=None)
def test_a_view_read_in_pages_ends_up_with_the_open_prompts(
    before: list, script: list, credit: int | None
) -> None:
    """Prompts change, come, move and end before, while and after their page is read. Until the view is
    complete it sends no prompt before a more urgent one that was there at the start."""
    world, console = World(), Console()
    for number, how in before:
        world.change(number, how)
    start = {p.prompt_id: p for p in world.shown.values()}
    view = PromptView(FILTER, credit)
    reader = Reader(view, world)
    for what, how in script:
        reader.step(what, how)
        if what == "take":
            take_in_order(view, console, world, start, how)
        elif what == "credit":
            view.give_credit(how, 100)
        elif isinstance(what, int) and (prompt := world.change(what, how)) is not None:
            view.offer(prompt)
    reader.finish()
    settle(view, console)
    assert console.has == world.shown
    assert console.caught_up is not None
    assert view.is_settled


def take_in_order(
    view: PromptView, console: Console, world: World, start: dict[str, Prompt], limit: int
) -> None:
    """Take events, and check that no more urgent prompt, unchanged since the start, is still missing."""
    for event in view.take(limit, lambda: "token"):
        if isinstance(event, Upserted) and event.prompt.prompt_id not in console.versions:
            for prompt_id, prompt in start.items():
                if world.shown.get(prompt_id) is prompt and prompt_id not in console.versions:
                    assert urgency(event.prompt) <= urgency(prompt), "a less urgent prompt came first"
        console.hear(event)


def test_a_view_has_no_prompts_that_are_read_later() -> None:
    view = PromptView(FILTER, credit=2)
    prompts = sorted((image(n, n + 1) for n in range(12)), key=urgency)
    view.add_page(prompts[:4], position(prompts[3]))
    for prompt in prompts[4:]:
        view.offer(replace(prompt, version=100 + prompt.version))
    assert len(view.take(100, lambda: "")) == 2
    assert view.waiting[0] == 2
    assert not view.caught_up


def test_another_filter_shows_the_most_urgent_prompts_first() -> None:
    view = PromptView(FILTER)
    low, high = image(0, 1), image(2, 2, mine=False)
    view.add_page([low], None)
    view.finish_load()
    view.change_filter(replace(FILTER, labels={}), "void")
    assert view.take(9, lambda: "") == [Bookmark("void")], "the high one must be read first"
    assert not view.has_news
    view.add_page([high, low], None)
    view.finish_load()
    assert [e.prompt for e in view.take(9, lambda: "") if isinstance(e, Upserted)] == [high, low]


def test_a_token_that_is_refused_comes_before_anything_under_another_filter() -> None:
    """The token before does not cover it, and could be honoured again if the filter came back."""
    view = PromptView(FILTER)
    hidden = image(0, 1)
    view.add_page([hidden], None)
    view.finish_load()
    view.take(9, lambda: "")
    view.change_filter(replace(FILTER, labels={"team": "other"}), "void")
    view.recheck(hidden)
    assert view.take(9, lambda: "") == [Bookmark("void"), Removed(hidden.prompt_id, hidden.version)]


def test_a_reset_needs_no_refused_token() -> None:
    view = PromptView(FILTER)
    view.resume()
    view.change_filter(replace(FILTER, labels={}), "void")
    view.reset("the access has changed")
    view.add_page([], None)
    view.finish_load()
    assert [type(event) for event in view.take(9, lambda: "")] == [Reset, CaughtUp]


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_page_that_is_older_than_a_change_removes_nothing(is_sent: bool) -> None:
    """It was read before a change that has come since, and made the prompt visible."""
    view = PromptView(FILTER)
    old = image(0, 1)
    view.add_page([old], None)
    view.finish_load()
    view.take(9, lambda: "")
    view.change_filter(replace(FILTER, labels={"team": "other"}), "void")
    new = replace(old, version=9, content=replace(old.content, labels={"team": "other"}))
    view.offer(new)
    first = view.take(9, lambda: "") if is_sent else []
    view.recheck(old)
    view.finish_load()
    assert [e for e in (*first, *view.take(9, lambda: "t")) if not isinstance(e, Bookmark)] == [
        Upserted(new),
        CaughtUp("t", 1),
    ]
