"""A view of prompts under random histories: with any credit and pace, it shows no wrong prompt."""

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from askback_server.domain.prompts import Prompt
from askback_server.sessions.frames import CaughtUp, Closed, Removed, Reset, Upserted
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.snapshot import urgency
from tests.support.prompt_world import FILTER, Console, World, changes, credits, image, settle, takes

steps = st.lists(st.one_of(changes, takes, credits))


def play(view: PromptView, console: Console, world: World, script: list[tuple[object, object]]) -> None:
    for what, how in script:
        if what == "take":
            for event in view.take(int(str(how)), lambda: "token"):
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
    assert view.take(10, lambda: "") == []
    view.reset("too old")
    assert isinstance(view.take(10, lambda: "")[0], Reset)
    honoured = PromptView(FILTER)
    honoured.resume()
    honoured.offer(image(1, 1))
    honoured.finish_load()
    assert [type(e) for e in honoured.take(10, lambda: "")] == [Upserted, CaughtUp]


def test_the_prompts_of_a_resumed_console_are_not_counted() -> None:
    view = PromptView(FILTER)
    view.resume()
    view.offer(image(1, 2, closed=True))
    view.finish_load()
    closed, caught_up = view.take(10, lambda: "")
    assert isinstance(closed, Closed)
    assert isinstance(caught_up, CaughtUp)
    assert caught_up.open_prompts == -1


def test_the_most_urgent_prompts_are_sent_first() -> None:
    prompts = [image(n, n + 1) for n in range(12)]
    view = loaded(*prompts)
    shown = [e.prompt for e in view.take(100, lambda: "") if isinstance(e, Upserted)]
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
    view.take(10, lambda: "")
    view.offer(waiting)
    closed = image(3, 4, closed=True)
    view.offer(closed)
    for prompt in (told, waiting, closed, image(4, 4)):
        view.remove(prompt.prompt_id, 9)
    assert view.take(10, lambda: "") == [Closed(closed), Removed("p1", 9)]
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
