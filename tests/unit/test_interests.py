"""What is announced of a change decides, without a read, whether a session can get it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.feed.announcing import announce
from askback_server.feed.interests import Interests
from askback_server.ports.announcements import AnnouncedPrompt, Announcement
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.storage import announcement_texts
from askback_server.storage.announcement_texts import from_texts, to_text
from tests.support.rows import event, new_job, new_prompt

TYPES, KINDS, USERS, GROUPS = ("a", "b"), ("confirm", "clarify"), ("ann", "bob"), ("law", "ops")
J, P, Q = (f"0190f3b2-0000-7000-8000-00000000000{n}" for n in "123")
LABELS = ({}, {"region": "eu"}, {"region": "us", "tier": "1"})


def some(rng: random.Random, values: Any) -> tuple[Any, ...]:
    return tuple(v for v in values if rng.random() < 0.4)


def some_filter(rng: random.Random) -> PromptFilter:
    roles = frozenset({rng.choice((Role.CONSOLE, Role.CONSOLE, Role.ADMIN))})
    viewer = Principal(rng.choice(USERS), roles, ("*",), frozenset(some(rng, GROUPS)))
    return PromptFilter(
        rng.choice(("default", "other")),
        viewer=rng.choice((viewer, viewer, viewer, None)),
        job_types=some(rng, TYPES),
        kinds=some(rng, KINDS),
        labels=rng.choice((*LABELS, {})),
        groups=some(rng, GROUPS),
        any_labels=rng.choice(({}, {}, {"region": ("eu", "us")}, {"tier": ("2",)})),
    )


def some_prompt(rng: random.Random) -> Prompt:
    job = new_job(job_type=rng.choice(TYPES), namespace=rng.choice(("default", "other")))
    audience = Audience(frozenset(some(rng, USERS)), frozenset(some(rng, GROUPS)))
    content = PromptContent(rng.choice(KINDS), "?", audience=audience, labels=rng.choice(LABELS))
    return new_prompt(job, content)


def announced(*prompts: Prompt, type: EventType = EventType.PROMPT_ASKED) -> Announcement:
    first = prompts[0]
    job = new_job(job_id=first.job_id, job_type=first.job_type, namespace=first.namespace)
    events = tuple(event(job, type, prompt_id=p.prompt_id) for p in prompts)
    return announce(Committed(job, prompts, events))


def test_a_view_wants_the_announced_prompts_that_its_filter_matches_and_no_others() -> None:
    rng = random.Random(7)
    wanted = 0
    for _ in range(3000):
        prompt, filters = some_prompt(rng), [some_filter(rng) for _ in range(rng.randrange(3))]
        interests = Interests()
        for filter in filters:
            interests.add_view(filter)
        shown = any(filter.matches(prompt) for filter in filters)
        [text] = [to_text(announced(prompt))]
        [parsed] = from_texts(f"[{text}]")
        assert interests.wanted_prompts(parsed) == ([prompt.prompt_id] if shown else []), (prompt, filters)
        wanted += shown
    assert wanted > 100


def test_a_view_wants_a_changed_prompt_that_it_may_have_shown_before() -> None:
    """Its audience, kind and labels at that time are not known any more."""
    law = Audience(groups=frozenset({"law"}))
    amended = new_prompt(new_job(), PromptContent("confirm", "?", audience=law), revision=2)
    interests = Interests()
    stop = interests.add_view(PromptFilter("default", viewer=Principal("bob", frozenset({Role.CONSOLE}))))
    assert interests.wanted_prompts(announced(amended)) == [amended.prompt_id]
    assert not interests.wanted_prompts(announced(replace(amended, revision=1)))
    stop()
    assert not interests
    assert not interests.wanted_prompts(announced(amended))


def test_equal_filters_are_counted_until_the_last_view_has_ended() -> None:
    prompt = new_prompt(new_job())
    interests = Interests()
    viewer = Principal("bob", frozenset({Role.CONSOLE}))
    stops = [interests.add_view(PromptFilter("default", viewer=viewer)) for _ in range(2)]
    for stop in stops:
        assert interests.wanted_prompts(announced(prompt)) == [prompt.prompt_id]
        stop()
    assert not interests.wanted_prompts(announced(prompt))


def test_a_view_of_one_job_wants_prompts_of_that_job_only() -> None:
    mine, other = new_prompt(new_job()), new_prompt(new_job())
    interests = Interests()
    interests.add_view(PromptFilter("default", job_id=mine.job_id))
    assert interests.wanted_prompts(announced(mine)) == [mine.prompt_id]
    assert not interests.wanted_prompts(announced(other))


def test_no_view_wants_a_prompt_of_which_only_the_receipt_was_recorded() -> None:
    prompt = new_prompt(new_job())
    interests = Interests()
    interests.add_view(PromptFilter("default"))
    receipt = announced(prompt, type=EventType.PROMPT_CONSUMED)
    assert not interests.wanted_prompts(receipt)
    answer = announced(prompt, type=EventType.PROMPT_ANSWERED)
    assert interests.wanted_prompts(answer.merge(receipt)) == [prompt.prompt_id]


def test_a_watcher_wants_jobs_of_its_namespace_and_types() -> None:
    interests = Interests()
    stop = interests.add_watcher(JobFilter("default", job_types=("a",)))
    for namespace, job_type, wants in (
        ("default", "a", True),
        ("default", "b", False),
        ("other", "a", False),
        ("default", "", True),
    ):
        assert interests.wants_job(Announcement("j", 0, 1, namespace, job_type)) is wants
    stop()
    assert not interests


AT = datetime(2030, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def test_an_announcement_survives_its_text() -> None:
    prompts = (AnnouncedPrompt(P, frozenset({"0a", "1b"}), late=True), AnnouncedPrompt(Q, silent=True))
    for item in (
        Announcement(J, 3, 4),
        Announcement(J, 3, 4, "a b:c", 'é"', AT, freed=True, prompts=prompts),
        Announcement(J, 3, 4, "default", "", deleted=True),
    ):
        assert from_texts(f"[{to_text(item)}]") == [item]
    assert from_texts("0190:1:2 0191:3:4") == (), "of an earlier version: the log is read"
    assert from_texts(f'[["{J}",1,2],["{J}",1,2,3],7,null]') == [Announcement(J, 1, 2)]


@pytest.mark.parametrize(
    "parts",
    [
        '["J",0,"7"]',
        '["j",0,1]',
        '["J",0,1,"n","t",null,0,[["p",0,null]]]',
        '["J",0,true]',
        '["J",0,1.5]',
        '["J",2,2]',
        '["J",-1,2]',
        "[7,0,1]",
        '["J",0,1,"n",null,null,0,[]]',
        '["J",0,1,["n"],"t",null,0,[]]',
        '["J",0,1,"n","t",1e300,0,[]]',
        '["J",0,1,"n","t",null,"0",[]]',
        '["J",0,1,"n","t",null,0,[[["P"],0,null]]]',
        '["J",0,1,"n","t",null,0,[["P",0,7]]]',
    ],
)
def test_what_is_no_announcement_is_ignored_and_logged_once(
    parts: str, caplog: pytest.LogCaptureFixture
) -> None:
    announcement_texts._warn.cache_clear()
    parts = parts.replace('"J"', f'"{J}"').replace('"P"', f'"{P}"')
    assert from_texts(f'[{parts},["{J}",0,1]]') == [Announcement(J, 0, 1)]
    assert from_texts(f"[{parts}]") == []
    [logged] = caplog.records
    assert "not sent by a replica" in logged.getMessage()


def test_merged_announcements_have_the_newest_state_and_every_prompt() -> None:
    first = Announcement(
        "j", 1, 3, "n", "t", AT, prompts=(AnnouncedPrompt("p", frozenset({"a"}), silent=True),)
    )
    second = Announcement(
        "j",
        3,
        4,
        "n",
        "t",
        freed=True,
        prompts=(AnnouncedPrompt("p", frozenset({"b"})), AnnouncedPrompt("q")),
    )
    expected = replace(
        second, after=1, prompts=(AnnouncedPrompt("p", frozenset({"b"})), AnnouncedPrompt("q"))
    )
    assert first.merge(second) == second.merge(first) == expected
    assert first.merge(Announcement("j", 4, 5)) == Announcement("j", 1, 5)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PENDING_HITL])
def test_an_announcement_says_whether_a_queue_has_room(state: JobState) -> None:
    job = new_job(state=state, token=1, version=2)
    assert announce(Committed(job, (), (event(job),))).freed is (state is not JobState.RUNNING)
