"""Presence: how the rules mark unattended prompts, and the index of the views of open consoles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain import commands as c
from askback_server.domain.content import Audience
from askback_server.domain.decisions import Decision
from askback_server.domain.events import EventType
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.engine.arrivals import Arrivals, cover
from askback_server.engine.presence import PresenceIndex
from askback_server.engine.view_texts import decode_view, encode_view, of_reviewer
from askback_server.ports.queries import PromptFilter
from tests.support.aggregates import ADMIN, ANN, BOB, SECOND, START, JobWorld, question
from tests.support.rows import new_job, new_prompt

LAW = question(audience=Audience(groups=frozenset({"law"})))


def world_with_lease(*present: Principal) -> JobWorld:
    world = JobWorld(present=present)
    world.create()
    world.lease()
    return world


def test_a_prompt_is_marked_in_the_write_that_asks_it() -> None:
    world = world_with_lease()
    asked = world.ask()
    assert world.events() == [EventType.PROMPT_ASKED, EventType.PROMPT_UNATTENDED]
    assert asked.prompt.unattended_since == world.prompt().unattended_since == START
    assert world.log[-1].actor == "system"
    assert world.log[-2].actor != "system"
    assert asked.prompt.version == world.job.version


def test_a_prompt_is_not_marked_while_its_audience_is_present() -> None:
    world = world_with_lease(ANN)
    assert world.ask(content=LAW).prompt.unattended_since is None
    assert world.events() == [EventType.PROMPT_ASKED]


def test_the_prompt_of_a_job_without_a_worker_is_marked_too() -> None:
    world = JobWorld(present=(BOB,))
    created = world.create(LAW)
    assert created.prompt is not None
    assert created.prompt.unattended_since == START


def test_the_mark_follows_people_who_come_and_go() -> None:
    world = world_with_lease(BOB)
    world.ask("a", LAW)
    world.ask("b", question("Not for law only"))
    world.present = (ANN,)
    world.tick(SECOND).on_job(c.ReviewPresence)
    assert world.events() == [EventType.PROMPT_ATTENDED]
    assert world.prompt("a").unattended_since is None
    world.on_job(c.ReviewPresence)
    assert world.events() == []
    world.present = ()
    world.on_job(c.ReviewPresence)
    assert world.events() == [EventType.PROMPT_UNATTENDED] * 2
    assert world.prompt("a").unattended_since == world.prompt("b").unattended_since == START + SECOND
    # The mark keeps the time at which it was set.
    world.tick(SECOND).on_job(c.ReviewPresence)
    assert world.events() == []


def test_an_amended_audience_changes_the_mark() -> None:
    world = world_with_lease(BOB)
    world.ask("a", LAW)
    world.ask("a", question("Now anybody"))
    assert world.events() == [EventType.PROMPT_AMENDED, EventType.PROMPT_ATTENDED]
    world.ask("a", LAW)
    assert world.events() == [EventType.PROMPT_AMENDED, EventType.PROMPT_UNATTENDED]


def test_a_closed_prompt_loses_its_mark() -> None:
    """Answering by a unary call, without a console, is allowed."""
    world = world_with_lease()
    world.ask()
    assert world.answer(decision=Decision.ACCEPT).status is AnswerStatus.ACCEPTED
    assert world.prompt().unattended_since is None
    assert EventType.PROMPT_ATTENDED not in world.events()
    world.on_job(c.ReviewPresence)
    assert world.events() == []


# --- the index ---


def view(viewer: Principal = ANN, **fields: Any) -> str:
    return encode_view(PromptFilter("default", viewer, **fields))


def has(texts: list[str], *, namespace: str = "default", job_type: str = "refund", **content: Any) -> bool:
    index = PresenceIndex()
    for text in texts:
        index.add(text)
    job = new_job(namespace=namespace, job_type=job_type)
    return index.has(new_prompt(job, question(**content)))


USERS, GROUPS = Audience(users=frozenset({"ann"})), Audience(groups=frozenset({"law"}))


@pytest.mark.parametrize(
    ("text", "prompt", "there"),
    [
        (view(), {}, True),
        (view(), {"namespace": "other"}, False),
        (view(), {"audience": USERS}, True),
        (view(), {"audience": GROUPS}, True),
        (view(BOB), {"audience": USERS}, False),
        (view(BOB), {"audience": GROUPS}, False),
        (view(BOB), {}, True),
        # An admin sees every prompt, but attends only those without an audience and those that name him.
        (view(ADMIN), {}, True),
        (view(ADMIN), {"audience": GROUPS}, False),
        (view(ADMIN), {"audience": Audience(users=frozenset({"root"}))}, True),
        # A prompt that the console's filter leaves out is not attended by its user.
        (view(job_types=("mail",)), {}, False),
        (view(job_types=("mail", "refund")), {}, True),
        (view(kinds=("clarify",)), {}, False),
        (view(kinds=("confirm",)), {}, True),
        (view(labels={"region": "eu"}), {}, False),
        (view(labels={"region": "eu"}), {"labels": {"region": "eu", "x": "y"}}, True),
        (view(groups=("ops",)), {"audience": GROUPS}, False),
        (view(groups=("law",)), {"audience": GROUPS}, True),
    ],
)
def test_a_view_attends_the_prompts_that_it_shows(text: str, prompt: dict[str, Any], there: bool) -> None:
    assert has([text], **prompt) is there
    assert has([view(BOB, kinds=("none",)), text], **prompt) is there
    assert not has([], **prompt)


@pytest.mark.parametrize("viewer", [ANN, ADMIN])
def test_a_view_of_this_replica_counts_as_at_others(viewer: Principal) -> None:
    """They parse its text."""
    own = PromptFilter("default", viewer, ("mail",), labels={"a": "b"}, any_labels={"c": ("d", "e")})
    text = encode_view(own)
    added = [PresenceIndex().add(text, known) for known in (own, None)]
    assert added[0] == added[1] == of_reviewer(own) == decode_view(text)


def test_the_index_counts_equal_views() -> None:
    index = PresenceIndex()
    prompt = new_prompt(new_job(), LAW)
    assert index.add(view()) == decode_view(view())
    assert index.add(view()) is None
    assert index.discard(view()) == ""
    assert index.has(prompt)
    assert index.discard(view()) == "default"
    assert not index.has(prompt)
    assert len(index) == 0
    assert not index._by_audience


def test_a_view_is_restored_from_its_document() -> None:
    filter = PromptFilter(
        "default", ANN, job_types=("b", "a"), kinds=("k",), labels={"x": "y"}, groups=("law",), job_id="j"
    )
    found = decode_view(encode_view(filter))
    assert encode_view(found) == encode_view(filter)
    assert (found.job_types, dict(found.labels), found.job_id) == (("a", "b"), {"x": "y"}, "j")
    assert found.viewer is not None
    assert (found.viewer.subject, found.viewer.groups) == ("ann", ANN.groups)


def test_a_view_with_several_values_of_a_label_is_read_back() -> None:
    """Other replicas read it as text. A replica of the previous version sees a value that no label has."""
    view = PromptFilter("default", ANN, labels={"a": "1"}, any_labels={"b": ("2", "3")})
    assert decode_view(encode_view(view)) == PromptFilter(
        "default", decode_view(encode_view(view)).viewer, labels={"a": "1"}, any_labels={"b": ("2", "3")}
    )
    assert (
        encode_view(PromptFilter("default", ANN, labels={"a": "1"})).count("[")
        == encode_view(view).count("[") - 2
    )


names = st.lists(st.sampled_from("ab"), unique=True, max_size=2).map(tuple)
some_names = st.lists(st.sampled_from("12"), unique=True, min_size=1, max_size=2).map(tuple)
labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
several = st.dictionaries(st.sampled_from("xy"), some_names, max_size=2)
views = st.builds(
    PromptFilter,
    st.just("default"),
    st.sampled_from([ANN, BOB]),
    job_types=names,
    kinds=names,
    labels=labels,
    any_labels=several,
    groups=st.sampled_from([(), ("law",)]),
    job_id=st.sampled_from(["", "j"]),
)
asked = st.builds(
    lambda job_type, kind, labels, audience: new_prompt(
        new_job(job_type=job_type, job_id="j"), question(kind=kind, labels=labels, audience=audience)
    ),
    st.sampled_from("abc"),
    st.sampled_from("abc"),
    labels,
    st.sampled_from([Audience(), LAW.audience, Audience(frozenset({BOB.subject}))]),
)


@given(st.lists(views, min_size=1, max_size=4), st.lists(asked, max_size=8))
def test_what_covers_arrivals_has_all_that_any_of_them_may_answer(
    arriving: list[PromptFilter], prompts: list[Prompt]
) -> None:
    arrivals = Arrivals()
    for view in arriving:
        arrivals.add(view)
    filter, people = arrivals.pop()
    assert not arrivals
    for prompt in prompts:
        audience = prompt.content.audience
        is_named = not (audience.users or audience.groups) or bool(
            audience.users & people.users or audience.groups & people.groups
        )
        if any(view.matches(prompt) for view in arriving):
            assert filter.matches(prompt)
            assert is_named
        elif len(arriving) == 1:
            assert not (filter.matches(prompt) and is_named)


def test_arrivals_are_covered_by_namespace() -> None:
    arrivals = Arrivals()
    for namespace in ("one", "two"):
        arrivals.add(PromptFilter(namespace, ANN))
    assert {arrivals.pop()[0].namespace, arrivals.pop()[0].namespace} == {"one", "two"}
    assert cover([PromptFilter("one", ANN)])[1] == Audience(frozenset({ANN.subject}), ANN.groups)
