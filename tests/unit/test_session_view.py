"""A view of prompts under random histories: with any credit and pace, it shows no wrong prompt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
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
more_changes = st.tuples(st.integers(0, 9), st.sampled_from(["open", "up", "down", "away", "close"]))
takes = st.integers(1, 3).map(lambda n: ("take", n))
credits = st.integers(1, 2).map(lambda n: ("credit", n))
steps = st.lists(st.one_of(changes, takes, credits))
pages = st.one_of(st.integers(1, 3).map(lambda n: ("ask for a page", n)), st.just(("add the page", 0)))


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


def play(view: PromptView, console: Console, world: World, script: list[tuple[object, object]]) -> None:
    for what, how in script:
        if what == "take":
            for event in view.take(int(str(how)), "token"):
                console.hear(event)
        elif what == "credit":
            view.give_credit(int(str(how)), 100)
        else:
            prompt = world.change(int(str(what)), str(how))
            if prompt is None or (how == "old" and world.seen.get(prompt.prompt_id, 0) < prompt.version):
                continue  # delayed older images exist only of prompts that this view has seen
            view.offer(prompt)
            world.seen[prompt.prompt_id] = max(prompt.version, world.seen.get(prompt.prompt_id, 0))


def loaded(*prompts: Prompt) -> PromptView:
    """A view that has read its only page."""
    view = PromptView(FILTER)
    view.add_page(prompts, None)
    view.finish_load()
    return view


def settle(view: PromptView, console: Console) -> None:
    view.give_credit(1_000, 1_000)
    while view.has_news:
        events = view.take(7, "token")
        assert events, "news that never comes"
        for event in events:
            console.hear(event)


@given(steps, steps, st.one_of(st.none(), st.integers(1, 3)))
@example([], [(0, "open"), ("take", 1), (0, "away"), (0, "open"), (0, "away")], None)
@settings(max_examples=3 * settings.default.max_examples, deadline=None)
def test_a_console_ends_up_with_the_open_prompts(before: list, after: list, credit: int | None) -> None:
    world, console = World(), Console()
    view = PromptView(FILTER, credit)
    silent = PromptView(FILTER)
    play(silent, Console(), world, [s for s in before if s[0] not in ("take", "credit")])
    world.seen.clear()
    view.add_page(*world.page(None))
    view.finish_load()
    play(view, console, world, after)
    settle(view, console)
    assert console.has == world.shown
    assert console.caught_up is not None
    assert view.is_settled


@given(steps, steps, steps)
@settings(max_examples=3 * settings.default.max_examples, deadline=None)
def test_a_resumed_console_ends_up_with_the_open_prompts(before: list, missed: list, after: list) -> None:
    world = World()
    first, console = loaded(), Console()
    play(first, console, world, before)
    settle(first, console)
    since = world.version
    quiet = [s for s in missed if s[0] not in ("take", "credit")]
    play(PromptView(FILTER), Console(), world, quiet)

    world.seen.clear()
    again = Console(console.has)
    again.versions, again.ended = dict(console.versions), set(console.ended)
    view = PromptView(FILTER)
    view.resume()
    for prompt in world.now.values():
        if prompt.version > since:
            view.offer(prompt)
    view.finish_load()
    play(view, again, world, after)
    settle(view, again)
    assert again.has == world.shown


@given(steps)
@settings(deadline=None)
def test_a_reset_forgets_what_was_sent_before(script: list) -> None:
    world, console = World(), Console()
    view = PromptView(FILTER)
    view.resume()
    play(view, console, world, script)
    assert not console.versions, "a Reset comes first, before all that is new"
    view.reset("too old")
    view.add_page(*world.page(None))
    view.finish_load()
    settle(view, console)
    assert console.has == world.shown
    assert console.caught_up == len(world.shown)


def test_nothing_is_sent_until_the_resume_token_has_been_checked() -> None:
    view = PromptView(FILTER)
    view.resume()
    view.offer(image(1, 1))
    assert not view.has_news
    assert view.take(10, "") == []
    view.reset("too old")
    assert isinstance(view.take(10, "")[0], Reset)
    honoured = PromptView(FILTER)
    honoured.resume()
    honoured.offer(image(1, 1))
    honoured.finish_load()
    assert [type(e) for e in honoured.take(10, "")] == [Upserted, CaughtUp]


def test_the_prompts_of_a_resumed_console_are_not_counted() -> None:
    view = PromptView(FILTER)
    view.resume()
    view.offer(image(1, 2, closed=True))
    view.finish_load()
    closed, caught_up = view.take(10, "")
    assert isinstance(closed, Closed)
    assert isinstance(caught_up, CaughtUp)
    assert caught_up.open_prompts == -1


def test_the_most_urgent_prompts_are_sent_first() -> None:
    prompts = [image(n, n + 1) for n in range(12)]
    view = loaded(*prompts)
    shown = [e.prompt for e in view.take(100, "") if isinstance(e, Upserted)]
    assert shown == sorted(prompts, key=urgency)


def test_the_number_of_tombstones_is_bounded() -> None:
    view = PromptView(FILTER)
    for number in range(6_000):
        view.offer(image(number, 2, closed=True))
    assert len(view._tombstones) <= 4_096
    assert not view.has_news


def test_prompts_of_a_deleted_job_are_removed() -> None:
    told, waiting, resolved = image(1, 1), image(2, 2), image(3, 3)
    view = loaded(told, resolved)
    view.take(10, "")
    view.offer(waiting)
    closed = image(3, 4, closed=True)
    view.offer(closed)
    for prompt in (told, waiting, closed, image(4, 4)):
        view.remove(prompt.prompt_id, 9)
    assert view.take(10, "") == [Closed(closed), Removed("p1", 9)]
    view.offer(replace(told, version=8))
    assert not view.has_news


behind = st.lists(
    st.one_of(
        changes,
        st.integers(1, 3).map(lambda n: ("take", n)),
        st.just(("fall behind", 0)),
        st.just(("read again", 0)),
    ),
    max_size=30,
)


@given(behind)
@example([(0, "open"), ("take", 1), (0, "close"), ("fall behind", 0), ("read again", 0)])
@example([(0, "open"), (1, "open"), ("take", 1), (0, "away"), ("fall behind", 0), (0, "old")])
@settings(max_examples=2 * settings.default.max_examples)
def test_a_view_that_falls_behind_ends_up_with_the_open_prompts(script: list) -> None:
    """It drops all waiting images and rereads the prompts that the console has and those that match."""
    view, console, world = loaded(), Console(), World()
    unread = [False]

    def read_again() -> None:
        if unread.pop():
            known = view.sent_ids
            assert known is not None
            by_id = {p.prompt_id: p for p in world.now.values()}
            for prompt_id in known:
                view.recheck(by_id[prompt_id])
            view.add_page(*world.page(None))
            console.caught_up = None
            view.finish_load()
        unread.append(False)

    for what, how in script:
        if what == "fall behind":
            view.fall_behind()
            unread = [True]
            assert view.waiting == (0, 0)
            assert not view.is_settled
        elif what == "read again":
            read_again()
        else:
            play(view, console, world, [(what, how)])
    read_again()
    settle(view, console)
    assert console.has == world.shown
    assert view.caught_up


def test_prompts_deleted_while_a_view_was_behind_are_removed() -> None:
    view, console = loaded(image(1, 5)), Console()
    settle(view, console)
    view.remove("p1", 7)
    view.fall_behind()
    assert view.sent_ids == ["p1"]
    view.remove("p1")
    view.add_page([], None)
    view.finish_load()
    console.caught_up = None
    settle(view, console)
    assert not console.has


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
    for event in view.take(limit, "token"):
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
    assert len(view.take(100, "")) == 2
    assert view.waiting[0] == 2
    assert not view.caught_up


def test_another_filter_shows_the_most_urgent_prompts_first() -> None:
    view = PromptView(FILTER)
    low, high = image(0, 1), image(2, 2, mine=False)
    view.add_page([low], None)
    view.finish_load()
    view.change_filter(replace(FILTER, labels={}))
    assert not view.has_news, "the high one must be read first"
    view.add_page([high, low], None)
    view.finish_load()
    assert [e.prompt for e in view.take(9, "") if isinstance(e, Upserted)] == [high, low]
