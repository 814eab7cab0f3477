"""Rules of two replicas on one database: a write that uses a rule needs the rule as it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.answers import AnswerSource
from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, Exclusion
from askback_server.domain.errors import IdReused
from askback_server.domain.events import EventType
from askback_server.domain.overview import NO_TIME, Measure
from askback_server.domain.people import PersonSetting, Sighting, delete_person, note_sighting, set_person
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt, PromptState
from askback_server.domain.rules import Effect, Match, Route, RuleSpec
from askback_server.domain.stored_rules import StoredRule, delete, switch_off, write_revision
from askback_server.ports.clock import uuid7
from askback_server.storage.people_tables import people
from askback_server.storage.rule_tables import rules
from askback_server.storage.tables import prompts
from tests.support.aggregates import BOB, question
from tests.support.rows import now
from tests.support.rules import rule
from tests.support.storage import Node, check_job, execute, faults_of, fetch, lose_outcome

LAW = frozenset({"law"})


async def see(here: Node, name: str = "ann", groups: frozenset[str] = LAW) -> None:
    """Let the directory know a person with these groups of its credentials."""
    at = here.clock.now()
    await here.database.people.change(
        "default", [name], lambda _: note_sighting(Sighting("default", name, groups, at), groups)
    )


async def save(here: Node, *, author: str = "ann", spec: RuleSpec | None = None, **fields: Any) -> StoredRule:
    """Store a rule that answers what `rule` matches; the replica knows it at once."""
    fields = {"expires_at": now() + timedelta(days=1), **fields}
    written = spec or rule(**fields).spec
    rule_id = uuid7()

    def create(_: StoredRule | None, at: datetime) -> StoredRule:
        blank = StoredRule(rule_id, "default", at, at, 0)
        return write_revision(blank, written, author, at, needs_approval=False)

    stored = await here.database.rules.change(rule_id, "default", create)
    await here.rules.load()
    return stored


async def change(here: Node, stored: StoredRule, to: Callable[[StoredRule, datetime], StoredRule]) -> None:
    def decide(found: StoredRule | None, at: datetime) -> StoredRule:
        assert found is not None
        return to(found, at)

    await here.database.rules.change(stored.rule_id, "default", decide)


async def uses(here: Node, stored: StoredRule) -> int:
    [row] = await fetch(here.database, sa.select(rules.c.uses).where(rules.c.rule_id == stored.rule_id))
    return int(row["uses"])


async def answered(here: Node, key: str = "a", **content: Any) -> Prompt:
    """The prompt of a new job that is asked now."""
    job = await here.lease_new_job()
    prompt = await here.ask(job, key, question(**content))
    await check_job(here.database, job.job_id)
    return prompt


async def test_a_rule_answers_and_its_use_is_counted(here: Node) -> None:
    await see(here)
    stored = await save(here, when="metadata.tool == 'ls'")
    prompt = await answered(here, metadata_json='{"tool":"ls"}')
    [again] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert again == prompt
    answer = again.resolution.answer  # type: ignore[union-attr]
    assert answer is not None
    assert (answer.source, answer.user_id, answer.rule) == (AnswerSource.RULE, "ann", f"{stored.rule_id}@1")
    assert await uses(here, stored) == 1
    assert (await answered(here, metadata_json='{"tool":"rm"}')).is_open
    job = await here.create(question(metadata_json='{"tool":"ls"}'))
    assert job.is_terminal
    assert await uses(here, stored) == 2
    [_, ruled, *_] = [e for e in (await check_job(here.database, prompt.job_id))[1] if e.prompt_id]
    assert ruled.type is EventType.PROMPT_RULED
    assert ruled.data is not None
    assert ruled.data["evaluator"].startswith("cel-expr-python")


CHANGES: dict[str, Callable[[StoredRule, datetime], StoredRule]] = {
    "switched off": switch_off,
    "deleted": delete,
    "rewritten": lambda r, at: write_revision(
        r,
        replace(r.active.spec, match=Match(kinds=frozenset({"x"}))),
        "ann",
        at,
        needs_approval=False,  # type: ignore[union-attr]
    ),
}


@pytest.mark.parametrize("what", list(CHANGES))
async def test_a_rule_that_was_changed_elsewhere_does_not_answer(here: Node, there: Node, what: str) -> None:
    await see(here)
    stored = await save(here)
    await change(there, stored, CHANGES[what])
    assert (await answered(here)).is_open
    assert await uses(here, stored) == 0


async def test_a_stricter_rule_that_was_added_elsewhere_wins(here: Node, there: Node) -> None:
    await see(here)
    stored = await save(here)
    await save(there, effect=Effect.ASK)
    assert (await answered(here)).is_open
    assert await uses(here, stored) == 0


async def test_a_rule_that_has_expired_by_the_clock_of_the_database_does_not_answer(here: Node) -> None:
    await see(here)
    stored = await save(here)
    past = sa.update(rules).where(rules.c.rule_id == stored.rule_id).values(expires_at=now() - timedelta(1))
    await execute(here.database, past)
    job = await here.lease_new_job()
    with pytest.raises(Exception, match="others changed the job"):
        # Its document still says that it holds, so that each try is refused by the guard.
        await here.ask(job)
    assert await uses(here, stored) == 0


LEAVING: dict[str, Any] = {
    "inactive": set_person(PersonSetting("default", "ann", active=False), "root"),
    "deleted": delete_person,
    "out of the group": lambda stored, at: note_sighting(
        Sighting("default", "ann", frozenset(), at), frozenset()
    )(stored, at),
}


@pytest.mark.parametrize("what", list(LEAVING))
async def test_the_author_leaves_between_evaluation_and_commit(here: Node, there: Node, what: str) -> None:
    await see(here)
    stored = await save(here)
    await there.database.people.change("default", ["ann"], lambda _: LEAVING[what])
    assert (await answered(here, audience=Audience(groups=LAW))).is_open
    assert await uses(here, stored) == 0
    await see(here)
    await here.rules.load()
    # What an admin has set as inactive stays so.
    assert (await answered(here, audience=Audience(groups=LAW))).is_open == (what == "inactive")


async def test_a_group_that_only_an_admin_has_set_excludes_and_gives_no_right(here: Node) -> None:
    await see(here)
    setting = set_person(PersonSetting("default", "ann", groups=frozenset({"ops"})), "root")
    await here.database.people.change("default", ["ann"], lambda _: setting)
    await save(here)
    ops = frozenset({"ops"})
    assert (await answered(here, audience=Audience(groups=ops))).is_open
    assert (await answered(here, exclusion=Exclusion(groups=ops))).is_open
    assert not (await answered(here, audience=Audience(groups=LAW))).is_open


async def test_the_eleventh_of_ten_uses_asks_a_person(here: Node, there: Node) -> None:
    await see(here)
    stored = await save(here, max_uses=10)
    await there.rules.load()
    jobs = [await here.lease_new_job() for _ in range(24)]
    asked = [(here if i % 2 else there).ask(job) for i, job in enumerate(jobs)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    states = [p.state for p in found if isinstance(p, Prompt)]
    # A replica that lost its write three times refuses; its worker asks again.
    for job, result in zip(jobs, found, strict=True):
        if not isinstance(result, Prompt):
            states.append((await here.ask(job)).state)
    assert states.count(PromptState.ANSWERED) == 10
    assert await uses(here, stored) == 10


async def test_one_batch_never_uses_a_rule_more_often_than_it_may(here: Node) -> None:
    await see(here)
    stored = await save(here, max_uses=3)
    jobs = [await here.lease_new_job() for _ in range(6)]
    found = await asyncio.gather(*(here.ask(job) for job in jobs))
    assert sum(1 for prompt in found if not prompt.is_open) == 3
    assert await uses(here, stored) == 3


@pytest.mark.parametrize("committed", [True, False])
async def test_an_unknown_outcome_counts_a_use_once(
    here: Node, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    await see(here)
    stored = await save(here, max_uses=1)
    job = await here.lease_new_job()
    lose_outcome(here.database, monkeypatch, committed=committed)
    with pytest.raises(Exception, match="went away"):
        await here.ask(job)
    assert await uses(here, stored) == int(committed)
    await here.rules.load()
    assert not (await here.ask(job)).is_open
    assert await uses(here, stored) == 1


async def test_a_routed_prompt_is_found_again_by_its_job(here: Node, there: Node) -> None:
    stored = await save(here, effect=Effect.ROUTE, route=Route(approval=Approval(2, reject_at=1), priority=9))
    job = await here.lease_new_job()
    prompt = await here.ask(job)
    assert prompt.content.priority == 9
    assert await uses(here, stored) == 1
    again = await there.ask(job)
    assert (again.prompt_id, again.revision) == (prompt.prompt_id, 1)
    assert again.asked_digest not in ("", again.digest)
    await check_job(here.database, job.job_id)


async def test_a_changed_digest_as_asked_is_found_by_the_audit(here: Node) -> None:
    prompt = await answered(here)
    mine = sa.update(prompts).where(prompts.c.interaction_id == prompt.prompt_id)
    await execute(here.database, mine.values(asked_digest="other"))
    assert "as the job asked it" in (await faults_of(here.database, prompt.job_id))[0]


async def test_a_namespace_without_rules_reads_nothing(here: Node) -> None:
    assert here.rules.book.of("default") is None
    await save(here)
    assert here.rules.book.of("other") is None
    assert (await fetch(here.database, sa.select(people))) == []


async def test_a_rule_and_a_person_race_and_the_first_commit_wins(here: Node, there: Node) -> None:
    await see(here)
    await save(here, when="prompt.title == 'Now?'")
    winners = set()
    for number in range(8):
        job, prompt = await here.waiting(question("Soon?"))
        tasks = [
            here.ask(job, "a", question("Now?")),
            there.answer(prompt, f"a{number}", principal=BOB),
        ]
        asked, said = await asyncio.gather(*tasks, return_exceptions=True)
        aggregate, _ = await check_job(here.database, job.job_id)
        [stored] = aggregate.prompts.values()
        assert stored.resolution is not None
        answer = stored.resolution.answer
        assert answer is not None
        winners.add(answer.source)
        if answer.source is AnswerSource.RULE:
            assert isinstance(said, AnswerResult)
            assert said.status in (AnswerStatus.STALE, AnswerStatus.CLOSED)
        else:
            assert isinstance(asked, IdReused)  # the job learns that its first question was answered
    assert winners <= {AnswerSource.RULE, AnswerSource.HUMAN}


async def test_the_answer_of_a_rule_says_nothing_of_how_long_people_take(here: Node) -> None:
    await see(here)
    await save(here, when="prompt.title == 'a'")
    await answered(here, title="a")
    prompt = await answered(here, title="b")
    await here.answer(prompt, principal=BOB)
    mark = await here.database.overview.mark()
    counts = (await here.database.overview.count_after(mark.position, 100)).counts
    buckets = [each.bucket for each in counts if each.measure is Measure.PROMPTS_ANSWERED]
    assert len(buckets) == 2
    assert NO_TIME in buckets
