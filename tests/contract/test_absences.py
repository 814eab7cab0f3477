"""Absences over two replicas: what is stored, who knows it when, and which prompts follow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.absence_rules import AbsenceNotFound, AbsenceSetting
from askback_server.domain.absences import MAX_LINKS, Absence
from askback_server.domain.approvals import Approval
from askback_server.domain.commands import ClaimPrompt, PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import Contention, InvalidField, PermissionDenied, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.exclusions import Excluded
from askback_server.domain.limits import Limits
from askback_server.domain.people import PersonSetting, delete_person, set_person
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.domain.routing_commands import DelegatePrompt, ReviewAbsences
from askback_server.engine import absence_reviews, known_absences
from askback_server.engine.absences import AbsenceKeeper
from askback_server.ports.absences import AbsencePage, Claim
from askback_server.ports.clock import uuid7
from askback_server.storage import absences as storage
from askback_server.storage.absence_table import absences as table
from tests.support.aggregates import ADMIN, question
from tests.support.plans import plan_of, statements_of
from tests.support.storage import Node, check_job, execute

HOUR = timedelta(hours=1)
CONSOLE = frozenset({Role.CONSOLE})
AMY, BEN = Principal("amy", CONSOLE), Principal("ben", CONSOLE)
FOR_AMY = Audience(frozenset({"amy"}))


class Keeper(AbsenceKeeper):
    """The keeper of a node, with a clock that tests move."""

    def __init__(self, node: Node) -> None:
        self.node = node
        database = node.database
        super().__init__(
            database.absences,
            node.absences,
            database.people,
            database.jobs,
            node.engine,
            node.clock,
            Limits(),
        )

    async def set(self, who: Principal = AMY, **fields: Any) -> Absence:
        fields = {"subject": who.subject, "until_at": self.node.clock.now() + HOUR, **fields}
        return await self.set_absence(who, AbsenceSetting("default", **fields))

    async def list(self, **fields: Any) -> list[Absence]:
        return [*await self.list_absences(AMY, AbsencePage("default", **fields), 10, "")]


@pytest.fixture
async def mine(here: Node) -> Keeper:
    for name in ("amy", "ben", "cat"):
        known = set_person(PersonSetting("default", name, active=True), "root")
        await here.database.people.change("default", [name], lambda _, known=known: known)
    return Keeper(here)


@pytest.fixture
def theirs(mine: Keeper, there: Node) -> Keeper:
    assert mine
    return Keeper(there)


async def now_of(prompt: Prompt, node: Node) -> Prompt:
    [stored] = await node.database.jobs.get_prompts([prompt.prompt_id])
    return stored


async def set_active(node: Node, name: str, active: bool) -> None:
    setting = set_person(PersonSetting("default", name, active=active), "root")
    await node.database.people.change("default", [name], lambda _: setting)


async def stand_ins(prompt: Prompt, node: Node) -> list[str]:
    given = (await now_of(prompt, node)).content.delegations
    return [each.user for each in given.active] if given is not None else []


async def test_open_prompts_and_new_ones_at_every_replica_follow(mine: Keeper, theirs: Keeper) -> None:
    job, prompt = await mine.node.waiting(question(audience=FOR_AMY))
    _, other = await mine.node.waiting(question(audience=Audience(frozenset({"cat"}))))
    absence = await mine.set(substitute="ben", comment="hols")
    await mine.update()
    assert await stand_ins(prompt, mine.node) == ["ben"]
    assert await stand_ins(other, mine.node) == []
    await theirs.update()
    _, new = await theirs.node.waiting(question(audience=FOR_AMY))
    assert await stand_ins(new, mine.node) == ["ben"]
    assert (await now_of(prompt, mine.node)).due_at == absence.until_at
    await theirs.delete_absence(AMY, "default", absence.absence_id)
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == await stand_ins(new, mine.node) == []
    _, events = await check_job(mine.node.database, job.job_id)
    assert [e.type for e in events[-2:]] == [EventType.PROMPT_DELEGATED, EventType.DELEGATION_ENDED]


async def test_a_prompt_of_a_replica_that_did_not_know_is_found_by_the_second_review(
    mine: Keeper, theirs: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mine.set(substitute="ben")
    await mine.update()
    _, late = await theirs.node.waiting(question(audience=FOR_AMY))  # it has not read the absence yet
    assert await stand_ins(late, mine.node) == []
    later = SimpleNamespace(now=lambda: now(mine) + absence_reviews.REPEAT)
    monkeypatch.setattr(mine._reviews, "_clock", later)
    await mine.update()
    assert await stand_ins(late, mine.node) == ["ben"]


async def test_the_end_of_an_absence_ends_what_its_substitute_has_delegated(
    mine: Keeper, theirs: Keeper
) -> None:
    """The substitute has added cat, who is away longer than amy, and whose substitute acts for amy too."""
    dan = set_person(PersonSetting("default", "dan", active=True), "root")
    await mine.node.database.people.change("default", ["dan"], lambda _: dan)
    job, prompt = await mine.node.waiting(question(audience=FOR_AMY))
    absence = await mine.set(substitute="ben")
    await mine.update()
    ref, added = PromptRef(prompt.prompt_id), DelegationMode.ADD
    await mine.node.engine.execute(DelegatePrompt(principal=BEN, ref=ref, user="cat", mode=added))
    until = mine.node.clock.now() + 5 * HOUR
    cat = Principal("cat", CONSOLE)
    await mine.set(cat, substitute="dan", until_at=until)
    await mine.update()
    assert await stand_ins(prompt, mine.node) == ["ben", "cat", "dan"]
    await theirs.delete_absence(AMY, "default", absence.absence_id)
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == []
    await check_job(mine.node.database, job.job_id)


@pytest.mark.parametrize("approval", [None, Approval(1)])
async def test_the_end_is_by_the_clock_of_the_database(mine: Keeper, approval: Approval | None) -> None:
    """The replica takes it to be before the end of the absence, and its answers are committed after it."""
    node = mine.node
    job = await node.lease_new_job()
    end = await node.database.ping() - timedelta(seconds=1)
    node.absences.learn([Absence(uuid7(), "default", "amy", end - HOUR, end, "ben")])
    node.clock.observe(end - timedelta(seconds=5))
    prompt = await node.ask(job, "a", question(audience=FOR_AMY, approval=approval))
    assert await stand_ins(prompt, node) == ["ben"]
    node.clock.observe(end - timedelta(seconds=5))
    with pytest.raises(PromptNotFound):
        await node.engine.execute(ClaimPrompt(principal=BEN, ref=PromptRef(prompt.prompt_id)))
    node.clock.observe(end - timedelta(seconds=5))
    with pytest.raises(PromptNotFound):
        await node.answer(prompt, principal=BEN)
    assert (await now_of(prompt, node)).is_open
    await check_job(node.database, job.job_id)


async def test_a_substitute_who_has_voted_remains_one_after_a_review(mine: Keeper, theirs: Keeper) -> None:
    content = question(audience=Audience(frozenset({"amy", "cat"})), approval=Approval(2))
    job, prompt = await mine.node.waiting(content)
    await mine.set(substitute="ben")
    await mine.update()
    await mine.node.answer(prompt, principal=BEN)
    await theirs.update()
    await theirs.node.engine.execute(ReviewAbsences(job_id=job.job_id))
    assert await stand_ins(prompt, mine.node) == ["ben"]
    await check_job(mine.node.database, job.job_id)


@pytest.mark.parametrize("approval", [None, Approval(1)])
async def test_the_substitute_of_a_person_in_an_excluded_group_does_not_answer(
    mine: Keeper, approval: Approval | None
) -> None:
    member = set_person(PersonSetting("default", "amy", groups=frozenset({"law"}), active=True), "root")
    await mine.node.database.people.change("default", ["amy"], lambda _: member)
    await mine.set(substitute="ben")
    audience, exclusion = Audience(frozenset({"amy", "cat"})), Exclusion(groups=frozenset({"law"}))
    job, prompt = await mine.node.waiting(question(audience=audience, exclusion=exclusion, approval=approval))
    assert await stand_ins(prompt, mine.node) == ["ben"]
    with pytest.raises(Excluded, match="amy, in whose place you act"):
        await mine.node.answer(prompt, principal=BEN)
    assert (await now_of(prompt, mine.node)).is_open
    await check_job(mine.node.database, job.job_id)


@pytest.mark.parametrize("how", ["inactive", "deleted", "holder", "asked"])
async def test_prompts_of_a_substitute_who_is_gone_go_to_the_next_step_until_it_is_back(
    mine: Keeper, theirs: Keeper, how: str
) -> None:
    """`asked`: the substitute is asked itself, and so needs no delegation."""
    people = frozenset({"amy", "ben"}) if how == "asked" else frozenset({"amy"})
    step = EscalationStep(HOUR, Audience(frozenset({"cat"})))
    job, prompt = await mine.node.waiting(question(audience=Audience(people), escalation=(step,)))
    await mine.set(substitute="ben")
    await mine.update()
    await theirs.update()
    there = [] if how == "asked" else ["ben"]
    assert await stand_ins(prompt, mine.node) == there
    await mine.node.do(ClaimPrompt(principal=BEN, ref=PromptRef(prompt.prompt_id)))
    name = "amy" if how == "holder" else "ben"
    if how == "deleted":
        await mine.node.database.people.change("default", [name], lambda _: delete_person)
    else:
        await set_active(mine.node, name, active=False)
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == []
    stored = await now_of(prompt, mine.node)
    assert (stored.content.audience.users, stored.claimed_by) == (people | {"cat"}, "")
    _, new = await theirs.node.waiting(question(audience=Audience(people), escalation=(step,)))
    assert new.content.audience.users == people | {"cat"}
    await set_active(mine.node, name, active=True)
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == there
    assert (await mine.node.answer(prompt, principal=BEN)).status is AnswerStatus.ACCEPTED
    _, events = await check_job(mine.node.database, job.job_id)
    skipped = [event.data["why"] for event in events if event.type is EventType.SUBSTITUTE_SKIPPED]
    assert skipped == ["INACTIVE"] * len(there)


async def test_one_replica_reviews_and_another_takes_over_after_a_crash(mine: Keeper, theirs: Keeper) -> None:
    _, prompt = await mine.node.waiting(question(audience=FOR_AMY))
    absence = await mine.set(substitute="ben")
    store, until = mine.node.database.absences, absence.updated_at
    assert until is not None
    this = {absence.absence_id: until}
    assert await store.claim_reviews(this, HOUR) == {absence.absence_id: Claim.GRANTED}  # and then it crashes
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == []
    past = mine.node.clock.now() - HOUR
    await execute(mine.node.database, sa.update(table).values(leased_until=past))
    await theirs.update()
    assert await stand_ins(prompt, mine.node) == ["ben"]
    assert await store.claim_reviews(this, HOUR) == {absence.absence_id: Claim.DONE}


async def test_what_others_change_is_known_during_a_long_review(
    mine: Keeper, theirs: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_absences, "INTERVAL_SECONDS", 0.0)
    await mine.set(substitute="ben")
    review = mine._reviews._review

    async def long(*args: Any) -> set[str]:
        await theirs.set(BEN)
        return await review(*args)

    monkeypatch.setattr(mine._reviews, "_review", long)
    await mine.update()
    assert {each.subject for each in mine.node.absences.all} == {"amy", "ben"}


async def test_a_job_that_cannot_be_reviewed_keeps_no_other_from_it(
    mine: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, first = await mine.node.waiting(question(audience=FOR_AMY))
    _, prompt = await mine.node.waiting(question(audience=FOR_AMY))
    _, other = await mine.node.waiting(question(audience=Audience(frozenset({"ben"}))))
    execute_command = mine.node.engine.execute

    async def refuse(command: Any) -> Any:
        if command.job_id == wrong.job_id:
            raise Contention(wrong.job_id)
        return await execute_command(command)

    monkeypatch.setattr(mine.node.engine, "execute", refuse)
    absence = await mine.set(substitute="cat")
    await mine.set(BEN, substitute="cat")
    await mine.update()
    found = [await stand_ins(each, mine.node) for each in (first, prompt, other)]
    assert found == [[], ["cat"], ["cat"]]
    until = absence.updated_at
    assert until is not None
    claims = await mine.node.database.absences.claim_reviews({absence.absence_id: until}, HOUR)
    assert claims == {absence.absence_id: Claim.BUSY}  # it is tried again after the lease


async def test_old_changes_are_not_read_again(mine: Keeper) -> None:
    await mine.set()
    old = now(mine) - 2 * known_absences.LONG_OVERLAP
    await execute(mine.node.database, sa.update(table).values(updated_at=old))
    known = known_absences.KnownAbsences(mine.node.database.absences, mine.node.clock)
    await known.load()
    [first] = known.all
    await execute(mine.node.database, sa.update(table).values(comment="unseen"))
    await known.load()
    assert known.all == (first,)


async def test_a_planned_absence_begins_by_itself(mine: Keeper) -> None:
    _, prompt = await mine.node.waiting(question(audience=FOR_AMY))
    begin = mine.node.clock.now() + HOUR
    absence = await mine.set(substitute="ben", from_at=begin, until_at=begin + HOUR)
    await mine.update()
    assert await stand_ins(prompt, mine.node) == []
    begun = now(mine)
    await execute(mine.node.database, sa.update(table).values(from_at=begun))  # as if the hour were over
    mine.node.absences.learn([replace(absence, from_at=begun)])
    await mine.update()
    assert await stand_ins(prompt, mine.node) == ["ben"]


async def test_where_all_are_away_the_next_step_is_taken(mine: Keeper) -> None:
    step = EscalationStep(HOUR, Audience(frozenset({"cat"})))
    job, prompt = await mine.node.waiting(question(audience=FOR_AMY, escalation=(step,)))
    await mine.set(AMY)
    await mine.update()
    assert (await now_of(prompt, mine.node)).content.audience.users == {"amy", "cat"}
    await check_job(mine.node.database, job.job_id)


async def test_calls_are_repeated_without_effect_and_lists_show_what_is_there(
    mine: Keeper, theirs: Keeper
) -> None:
    begin = mine.node.clock.now() + HOUR
    fields: dict[str, Any] = {"from_at": begin, "until_at": begin + HOUR, "substitute": "ben"}
    first = await mine.set(**fields)
    assert await theirs.set(**fields) == first
    assert (first.set_by, first.created_at, first.updated_at) == ("amy", first.updated_at, first.created_at)
    changed = await theirs.set(absence_id=first.absence_id, **{**fields, "comment": "hols"})
    assert (changed.absence_id, changed.comment, changed.created_at) == (
        first.absence_id,
        "hols",
        first.created_at,
    )
    other = await mine.set(ADMIN, subject="ben", until_at=begin)
    assert (other.subject, other.set_by) == ("ben", "root")
    assert await mine.list() == [changed, other]
    assert await mine.list(subject="ben") == [other]
    ended = await mine.delete_absence(AMY, "default", first.absence_id)
    assert ended.from_at == ended.until_at == ended.updated_at
    assert await mine.delete_absence(AMY, "default", first.absence_id) == ended
    assert await mine.list() == [other]
    assert await mine.list(include_past=True) == [ended, other]


def now(keeper: Keeper) -> datetime:
    return keeper.node.clock.now()


async def test_calls_at_two_replicas_at_once_make_one_absence_and_no_circle(
    mine: Keeper, theirs: Keeper
) -> None:
    begin = mine.node.clock.now() + HOUR
    for day in range(5):
        fields: dict[str, Any] = {
            "from_at": begin + day * 24 * HOUR,
            "until_at": begin + (day * 24 + 1) * HOUR,
        }
        one, two = await asyncio.gather(mine.set(**fields), theirs.set(**fields))
        assert one == two
        fields = {name: at + HOUR for name, at in fields.items()}
        calls = mine.set(AMY, substitute="ben", **fields), theirs.set(BEN, substitute="amy", **fields)
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in done].count(InvalidField) == 1


async def test_only_the_person_and_admins_set_and_end_it(mine: Keeper) -> None:
    with pytest.raises(PermissionDenied):
        await mine.set(BEN, subject="amy")
    absence = await mine.set(AMY)
    for who, absence_id in ((BEN, absence.absence_id), (AMY, "x"), (ADMIN, "x")):
        with pytest.raises(AbsenceNotFound):
            await mine.delete_absence(who, "default", absence_id)
    with pytest.raises(AbsenceNotFound):
        await mine.delete_absence(AMY, "other", absence.absence_id)
    with pytest.raises(AbsenceNotFound):
        await mine.set(BEN, absence_id=absence.absence_id)
    with pytest.raises(AbsenceNotFound):
        await mine.set(BEN, absence_id="x")
    ended = await mine.delete_absence(ADMIN, "default", absence.absence_id)
    assert ended.until_at == ended.updated_at


async def test_a_substitute_is_an_active_person(mine: Keeper) -> None:
    await set_active(mine.node, "cat", active=False)
    for name in ("zoe", "cat"):
        with pytest.raises(InvalidField):
            await mine.set(substitute=name)
    assert await mine.list() == []


async def test_what_is_long_over_is_forgotten_and_deleted(
    mine: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    absence = await mine.set()
    long_ago = now(mine) - timedelta(days=500)
    old = replace(absence, from_at=long_ago - HOUR, until_at=long_ago, updated_at=long_ago)
    changes = {"from_at": old.from_at, "until_at": old.until_at, "updated_at": old.updated_at}
    await execute(mine.node.database, sa.update(table).values(**changes))
    mine.node.absences.learn([old])
    assert mine.node.absences.all == ()
    assert await mine.list(include_past=True) == [old]
    monkeypatch.setattr(mine, "_clean_at", now(mine))
    await mine.update()
    assert await mine.list(include_past=True) == []


async def test_changes_are_read_by_an_index(mine: Keeper) -> None:
    [statement] = await statements_of(mine.node.database.absences.list_since(now(mine)))
    assert "ix_absences_updated" in await plan_of(mine.node.database, statement)


async def fill(node: Node, count: int) -> None:
    """Store absences of ben and others, each with a substitute who is away too, and let the replica read
    them."""
    begin, names = node.clock.now(), ["ben", *(f"p{number}" for number in range(count))]
    rows = [
        {
            "absence_id": uuid7(),
            "namespace": "default",
            "subject": subject,
            "from_at": begin,
            "until_at": begin + HOUR,
            "substitute": substitute,
            "comment": "",
            "set_by": "root",
            "created_at": begin,
            "updated_at": begin,
        }
        for subject, substitute in pairwise(names)
    ]
    await execute(node.database, sa.insert(table).values(rows))
    await node.absences.load()


async def test_the_cost_of_an_absence_does_not_grow_with_their_number(
    mine: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is set reads its own person and the chain of its substitutes. Those that are due are reviewed
    together."""
    rows, own = 0, storage._absence

    def count(row: Any) -> Absence:
        nonlocal rows
        rows += 1
        return own(row)

    monkeypatch.setattr(storage, "_absence", count)
    monkeypatch.setattr(known_absences, "INTERVAL_SECONDS", inf)
    found, size = [], 400
    for _ in range(2):
        await execute(mine.node.database, sa.delete(table))
        await fill(mine.node, size)
        assert len(await statements_of(mine._follow())) <= size / 10
        rows = 0
        one = await statements_of(mine.set(substitute="ben"))
        both = await statements_of(mine._follow())
        found.append((rows, len(one), len(both)))
        size = 1_000
    assert found[0] == found[1]
    assert rows == 1 + MAX_LINKS


async def test_absences_are_read_by_indexes_of_both_people(mine: Keeper) -> None:
    await fill(mine.node, 400)
    if mine.node.database._dialect.name == "postgresql":
        await execute(mine.node.database, "ANALYZE")  # as its server does by itself
    reading = await statements_of(mine.set(substitute="ben"))
    touching = await statements_of(set_active(mine.node, "p7", active=False))
    found = [each for each in (*reading, *touching) if isinstance(each, sa.Select | sa.CompoundSelect)]
    found = [each for each in found if "FROM absences" in str(each)]
    searches = [each for each in found if "WHERE absences.absence_id" not in str(each)]
    reads = [await plan_of(mine.node.database, each) for each in searches]
    assert len(reads) == 1 + MAX_LINKS + 1
    assert all("ix_absences_subject" in plan for plan in reads)
    assert "ix_absences_substitute" in reads[-1]
