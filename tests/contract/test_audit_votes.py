"""What `askback audit verify` finds of votes, of exclusions, and of columns that follow from the events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.chain import ERASED
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.documents import parse_content
from askback_server.domain.people import set_person
from askback_server.domain.prompts import AnswerStatus
from askback_server.storage import tables
from tests.contract.test_votes import AMY, BEN, CAT, REJECT, approved, member, needs, vote, withdraw
from tests.support.aggregates import ADMIN, ANN, BOB, HOUR, question
from tests.support.audited_jobs import erase, verified
from tests.support.storage import Node, execute, faults_of, fetch

Edit = Callable[[dict[str, Any]], object]
PROMPTS, JOBS, EVENTS = tables.prompts, tables.jobs, tables.events


async def set_columns(here: Node, job_id: str, table: sa.Table, **values: Any) -> dict[str, Any]:
    """Change columns of the rows of a job. Returns what the first row had."""
    mine = table.c.job_id == job_id
    rows = await fetch(here.database, sa.select(table).where(mine))
    await execute(here.database, sa.update(table).where(mine).values(**values))
    return {name: rows[0][name] for name in values}


async def votes_of(here: Node, job_id: str) -> dict[str, Any]:
    """The document of votes of a job's prompt `a`."""
    mine = PROMPTS.c.job_id == job_id, PROMPTS.c.key == "a"
    [row] = await fetch(here.database, sa.select(PROMPTS.c.votes).where(*mine))
    doc: dict[str, Any] = json.loads(row["votes"])
    return doc


@asynccontextmanager
async def changed(here: Node, job_id: str, column: str, edit: Edit, **more: Any) -> AsyncIterator[None]:
    """Edit the JSON of a column of a job's prompt `a`, set `more` columns, and restore them at the end."""
    mine = PROMPTS.c.job_id == job_id, PROMPTS.c.key == "a"
    [row] = await fetch(here.database, sa.select(PROMPTS).where(*mine))
    doc = json.loads(row[column])
    edit(doc)
    change = sa.update(PROMPTS).where(*mine)
    if column == "prompt_data":
        more["digest"] = parse_content(json.dumps(doc)).digest
    await execute(here.database, change.values({column: json.dumps(doc), **more}))
    yield
    await execute(here.database, change.values({name: row[name] for name in (column, *more)}))


def forge(doc: dict[str, Any]) -> None:
    """Give the first vote to another person."""
    answer = json.loads(doc["live"][0]["answer"])
    doc["live"][0]["answer"] = json.dumps({**answer, "answer_id": "forged", "user_id": "eve"})


FORGED: dict[str, tuple[str, Edit, str]] = {
    "a vote": ("votes", forge, "the vote forged, which decided it, was not recorded"),
    "the groups of a vote": (
        "votes",
        lambda doc: doc["live"][0].update(groups=["c"]),
        "do not complete its approval",
    ),
    "the number of people": (
        "prompt_data",
        lambda doc: doc["approval"].update(required=2, per_group=[]),
        "do not complete its approval",
    ),
    "the whole approval": ("prompt_data", lambda doc: doc.pop("approval"), "its content needs an approval"),
}


@pytest.mark.parametrize("what", FORGED)
async def test_an_approval_that_was_changed_for_a_moment_is_found(here: Node, there: Node, what: str) -> None:
    """Another replica decides by the changed row, which is then as before."""
    column, edit, problem = FORGED[what]
    job, prompt = await here.waiting(approved(2, per_group=needs(a=1, c=1)))
    await vote(here, prompt, AMY)
    first = (await votes_of(here, job.job_id))["live"][0]
    async with changed(here, job.job_id, column, edit):
        last = CAT if what == "a vote" else BEN
        assert (await vote(there, prompt, last)).status is AnswerStatus.ACCEPTED
        votes = await votes_of(here, job.job_id)
    votes["live"][0] = first
    await set_columns(here, job.job_id, PROMPTS, votes=json.dumps(votes))
    [fault] = await faults_of(here.database, job.job_id)
    assert problem in fault


async def test_a_vote_that_was_hidden_for_a_moment_is_found(here: Node, there: Node) -> None:
    """AMY and BEN are enough; without her vote the answer is that of CAT."""
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    first = (await votes_of(here, job.job_id))["live"]
    async with changed(here, job.job_id, "votes", lambda doc: doc.update(live=[])):
        await vote(there, prompt, BEN)
        assert (await vote(there, prompt, CAT)).status is AnswerStatus.ACCEPTED
        votes = await votes_of(here, job.job_id)
    votes["live"] = [*first, *votes["live"]]
    await set_columns(here, job.job_id, PROMPTS, votes=json.dumps(votes))
    [fault] = await faults_of(here.database, job.job_id)
    assert "not all of their outcome" in fault


@pytest.mark.parametrize("approval", [False, True])
async def test_an_exclusion_that_was_removed_for_a_moment_is_found(
    here: Node, there: Node, approval: bool
) -> None:
    rule = Exclusion(users=frozenset({"bob"}))
    content = approved(2, exclusion=rule) if approval else question(exclusion=rule)
    job, prompt = await here.waiting(content)
    async with changed(here, job.job_id, "prompt_data", lambda doc: doc.pop("exclusion")):
        await vote(there, prompt, BOB)
    assert "bob was excluded" in (await faults_of(here.database, job.job_id))[0]


@pytest.mark.parametrize("late", [False, True])
async def test_an_exclusion_counts_from_its_event_on(here: Node, there: Node, late: bool) -> None:
    """BEN answers another prompt, and is excluded from then on; BOB is from the beginning."""
    job = await here.lease(await here.create(), await here.session())
    other = await here.ask(job, "other", question())
    rule = Exclusion(answerers_of=("other",), users=frozenset({"bob"}))
    prompt = await here.ask(job, "a", approved(3, exclusion=rule))
    await vote(here, prompt, BEN)
    await here.do(c.ClaimPrompt(principal=BEN, ref=PromptRef(prompt.prompt_id)))  # ends with his answer
    if not late:
        async with changed(here, job.job_id, "prompt_data", lambda doc: doc.pop("exclusion")):
            await vote(there, prompt, BOB)
    await here.answer(other, principal=BEN)
    if late:
        assert await faults_of(here.database, job.job_id) == []
        async with changed(here, job.job_id, "prompt_data", lambda doc: doc.pop("exclusion")):
            await vote(there, prompt, BEN, answer_id="again")
    [fault, *_] = await faults_of(here.database, job.job_id)
    assert f"{'ben' if late else 'bob'} was excluded" in fault


async def test_a_vote_of_a_group_that_is_excluded_is_found(here: Node, there: Node) -> None:
    rule = Exclusion(groups=frozenset({"a"}))
    asked = Audience(groups=frozenset({"a", "z"}))
    job, prompt = await here.waiting(approved(2, audience=asked, exclusion=rule))
    async with changed(here, job.job_id, "prompt_data", lambda doc: doc.pop("exclusion")):
        await vote(there, prompt, BEN)
    assert "ben was excluded" in (await faults_of(here.database, job.job_id))[0]


async def test_an_asker_that_was_changed_for_a_moment_is_found(here: Node, there: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    before = await set_columns(here, job.job_id, JOBS, user_id="zed")
    await there.ask(job, "a", question(exclusion=Exclusion(requester=True)))
    await set_columns(here, job.job_id, JOBS, **before)
    await set_columns(here, job.job_id, PROMPTS, requested_by=before["user_id"])
    [fault] = await faults_of(here.database, job.job_id)
    assert "does not name who asked" in fault


async def test_a_default_answer_that_no_content_had_is_found(here: Node, there: Node) -> None:
    job, _ = await here.waiting(approved(2, timeout=HOUR))

    def accept_by_default(doc: dict[str, Any]) -> None:
        doc |= {
            "final_action": "DEFAULT",
            "default_answer": {"decision": "ACCEPT", "values_json": "", "comment": ""},
        }

    past = await here.database.ping() - timedelta(hours=1)
    async with changed(here, job.job_id, "prompt_data", accept_by_default, timeout_at=past):
        await there.do(c.RunDue(job_id=job.job_id))
    assert "not the default answer" in (await faults_of(here.database, job.job_id))[0]


async def test_a_prompt_that_was_opened_again_is_found(here: Node, there: Node) -> None:
    job, prompt = await here.waiting(question())
    await here.answer(prompt)
    await set_columns(here, job.job_id, PROMPTS, status="PENDING", response_data=None, responded_at=None)
    await there.answer(prompt, "a2", principal=BOB)
    assert any("had ended" in fault for fault in await faults_of(here.database, job.job_id))


async def test_an_amendment_to_one_person_verifies(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    await here.ask(job, prompt.key, replace(approved(2), title="Other", approval=None))
    assert await faults_of(here.database, job.job_id) == []
    await set_columns(here, job.job_id, PROMPTS, votes=None)
    assert "earlier voters" in (await faults_of(here.database, job.job_id))[0]


async def test_votes_and_claims_that_rules_have_ended_verify(here: Node) -> None:
    """A vote ends its author's claim; who leaves one of two groups keeps the other; an escalation ends the
    votes of those who are not asked any more."""
    people = here.database.people
    first = Audience(users=frozenset({"ben"}), groups=frozenset({"a", "b"}))
    step = EscalationStep(HOUR, Audience(frozenset({"cat"})), replace=True)
    job, prompt = await here.waiting(approved(3, audience=first, escalation=(step,)))
    await here.do(c.ClaimPrompt(principal=AMY, ref=PromptRef(prompt.prompt_id)))
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a", "b"), "root"))
    await vote(here, prompt, AMY)
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a"), "root"))
    await vote(here, prompt, BEN)
    [amy, _] = (await votes_of(here, job.job_id))["live"]
    assert (amy["groups"], amy["entry"]) == (["a"], ["a"])
    assert await faults_of(here.database, job.job_id) == []

    past = await here.database.ping() - timedelta(minutes=1)
    [row] = await fetch(here.database, sa.select(PROMPTS.c.nudges))
    due = json.dumps({**json.loads(row["nudges"]), "step_at": past.isoformat()})
    await set_columns(here, job.job_id, PROMPTS, nudges=due, nudge_at=past)
    here.engine.hot.drop(job.job_id)
    await here.do(c.RunDue(job_id=job.job_id))
    assert (await votes_of(here, job.job_id))["live"] == []
    assert await faults_of(here.database, job.job_id) == []


async def test_columns_that_follow_from_the_events_are_verified(here: Node) -> None:
    """Each change is made alone, and taken back."""
    first = question("First?")
    job, asked = await here.waiting(first, principal=ADMIN, user_id="carl")
    await here.answer(asked)
    reworded = replace(here.ask_command(job, "a", replace(first, title="Reworded?")), same=True)
    await here.do(reworded)
    content = approved(3, per_group=needs(a=2), audience=Audience(groups=frozenset({"a"})))
    prompt = await here.ask(job, "b", content)
    await vote(here, prompt, AMY)
    claim = c.ClaimPrompt(principal=BEN, ref=PromptRef(prompt.prompt_id))
    await here.do(claim)
    assert await faults_of(here.database, job.job_id) == []
    [row] = await fetch(here.database, sa.select(PROMPTS).where(PROMPTS.c.interaction_id == prompt.prompt_id))
    doc = json.loads(row["votes"])
    [live], [shortfall] = doc["live"], doc["shortfalls"]
    changes: list[tuple[sa.Table, str, Any]] = [
        (JOBS, "user_id", "zed"),
        (JOBS, "requesters", '["zed"]'),
        (JOBS, "requesters", None),
        (PROMPTS, "requested_by", "zed"),
        (PROMPTS, "revision", 7),
        (PROMPTS, "claimed_by", "zed"),
        (PROMPTS, "claimed_by", ""),
        (PROMPTS, "submissions", 0),
        (PROMPTS, "same_digest", "other"),
        (PROMPTS, "votes", None),
        (PROMPTS, "votes", "7"),
        (PROMPTS, "votes", ERASED),
        (PROMPTS, "votes", json.dumps({**doc, "live": []})),
        (PROMPTS, "votes", json.dumps({**doc, "live": [{**live, "entry": None}]})),
        (PROMPTS, "votes", json.dumps({**doc, "live": [{**live, "groups": ["z"]}]})),
        (PROMPTS, "votes", json.dumps({**doc, "earlier": ["zed"]})),
        (PROMPTS, "votes", json.dumps({**doc, "shortfalls": []})),
        (PROMPTS, "votes", json.dumps({**doc, "shortfalls": [[*shortfall[:2], 9]]})),
    ]
    for table, column, value in changes:
        mine = table.c.job_id == job.job_id
        if table is PROMPTS:
            mine &= PROMPTS.c.interaction_id == (
                asked.prompt_id if column == "same_digest" else prompt.prompt_id
            )
        [before] = await fetch(here.database, sa.select(table.c[column]).where(mine))
        assert before[column] != value
        await execute(here.database, sa.update(table).where(mine).values({column: value}))
        assert await faults_of(here.database, job.job_id), (column, value)
        await execute(here.database, sa.update(table).where(mine).values({column: before[column]}))
    assert await faults_of(here.database, job.job_id) == []


async def test_erased_events_of_votes_and_claims_give_no_false_alarm(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    other = await here.ask(job, "other", question())
    rule = Exclusion(requester=True, answerers_of=("other",))
    prompt = await here.ask(job, "a", approved(2, exclusion=rule))
    await vote(here, prompt, AMY)
    await withdraw(here, prompt, AMY, "amy-ACCEPT")
    await vote(here, prompt, CAT)
    await here.do(c.ClaimPrompt(principal=BEN, ref=PromptRef(prompt.prompt_id)))
    await here.answer(other, principal=CAT)
    for kind in ("VOTE_WITHDRAWN", "PROMPT_EXCLUDED", "PROMPT_CLAIMED", "JOB_CREATED", "PROMPT_ASKED"):
        await erase(here.database, job.job_id, kind)
        assert await faults_of(here.database, job.job_id) == [], kind
    await vote(here, prompt, BEN, REJECT)
    for kind in ("PROMPT_VOTED", "PROMPT_ANSWERED"):
        await erase(here.database, job.job_id, kind)
        assert await faults_of(here.database, job.job_id) == [], kind


async def test_votes_verify_while_a_job_is_deleted_in_steps(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    past = await here.database.ping() - timedelta(hours=1)
    await set_columns(here, job.job_id, JOBS, purge_at=past)
    answers = tables.answers
    await execute(here.database, sa.delete(answers).where(answers.c.job_id == job.job_id))
    assert await faults_of(here.database, job.job_id) == []


async def test_events_of_an_older_version_are_not_judged_by_what_they_do_not_record(here: Node) -> None:
    """They have no user, no `entry` and no shortfalls. The chain is cut off here as well."""
    content = approved(3, per_group=needs(a=2), audience=Audience(groups=frozenset({"a"})))
    job, prompt = await here.waiting(content)
    await vote(here, prompt, AMY)
    await vote(here, prompt, ANN_A, REJECT)
    for row in await fetch(here.database, sa.select(EVENTS).where(EVENTS.c.job_id == job.job_id)):
        data = json.loads(row["data"] or "{}")
        for key in ("user_id", "entry", "shortfalls"):
            data.pop(key, None)
        older = {"hash": None, "salt": None, "data": json.dumps(data)}
        event = sa.update(EVENTS).where(EVENTS.c.id == row["id"])
        await execute(here.database, event.values(**older))
    await set_columns(here, job.job_id, JOBS, chain=None, user_id="zed")
    report = await verified(here.database)
    assert [str(fault) for fault in report.faults] == []


ANN_A = replace(ANN, groups=frozenset({"a"}))
