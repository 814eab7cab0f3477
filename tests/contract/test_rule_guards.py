"""Rules of two replicas on one database: a write that uses a rule needs the rule as it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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
from askback_server.domain.jobs import Job
from askback_server.domain.overview import NO_TIME, Measure
from askback_server.domain.people import PersonSetting, Sighting, delete_person, note_sighting, set_person
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState
from askback_server.domain.rule_checks import prepare_rule
from askback_server.domain.rule_inputs import Expressions
from askback_server.domain.rules import CompiledRule, Effect, Match, Route, Rule, RuleSpec
from askback_server.domain.stored_rules import StoredRule, delete, switch_off, write_revision
from askback_server.ports.clock import uuid7
from askback_server.storage.people_tables import people
from askback_server.storage.rule_tables import rule_revisions, rule_sets, rules
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


async def test_uses_at_another_replica_are_learnt_without_reading_the_set_again(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 500 rules with their examples would be read and evaluated every two seconds."""
    await see(here)
    stored = await save(here, max_uses=1)
    await there.rules.load()
    monkeypatch.setattr(there.database.rules, "read_set", None)
    assert not (await answered(here)).is_open
    await there.rules.load()
    known = there.rules.book.of("default")
    assert known is not None
    assert not known.has_uses_left(stored.active)
    assert (await answered(there)).is_open


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


async def test_only_a_changed_rule_is_compiled_again(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []

    def prepare(each: Rule, expressions: Expressions) -> CompiledRule:
        prepared.append(each.ref)
        return prepare_rule(each, expressions)

    monkeypatch.setattr("askback_server.engine.rules.prepare_rule", prepare)
    await see(here)
    one = await save(here, max_uses=5)
    other = await save(here, name="other", when="metadata.tool == 'ls'")
    await answered(here)
    await here.rules.load()
    assert prepared == [f"{one.rule_id}@1", f"{other.rule_id}@1"]
    assert here.rules.book.of("default").uses == {one.rule_id: 1}  # type: ignore[union-attr]
    await change(here, one, CHANGES["rewritten"])
    await here.rules.load()
    assert prepared[2:] == [f"{one.rule_id}@2"]


async def test_a_rule_of_a_newer_version_asks_people_and_stops_no_other(
    here: Node, caplog: pytest.LogCaptureFixture
) -> None:
    await see(here)
    stored = await save(here)
    assert (await answered(here)).state is PromptState.ANSWERED
    document = sa.update(rule_revisions).where(rule_revisions.c.rule_id == stored.rule_id)
    await execute(here.database, document.values(document='{"effect":"ANOTHER"}'))
    await execute(here.database, sa.update(rule_sets).values(version=rule_sets.c.version + 1))
    await here.rules.load()  # raises no error, so those of other namespaces are read as well
    assert (await answered(here, "b")).is_open
    assert f"{stored.rule_id}@1" in caplog.text


async def test_a_namespace_whose_rules_are_gone_is_not_read_again(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change(here, await save(here), delete)
    await here.rules.load()
    reads = list[str]()
    read_set = here.database.rules.read_set

    async def read(namespace: str) -> Any:
        reads.append(namespace)
        return await read_set(namespace)

    monkeypatch.setattr(here.database.rules, "read_set", read)
    await here.rules.load()
    assert reads == []
    await save(here)  # a new one is found all the same
    assert here.rules.book.of("default") is not None


def before_the_next_write(
    node: Node, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[Any]]
) -> None:
    """Let something happen between the decision of the next write and the write."""
    write, pending = node.database.jobs.write, [act]

    async def write_after(batch: Any) -> Any:
        if pending:
            await pending.pop()()
        return await write(batch)

    monkeypatch.setattr(node.database.jobs, "write", write_after)


async def ruled_and_answered(here: Node) -> tuple[Job, Prompt]:
    """A job with an open prompt that a rule will answer once its title is `Now?`."""
    await see(here)
    await save(here, when="prompt.title == 'Now?'")
    return await here.waiting(question("Soon?"))


async def test_a_person_whose_commit_comes_first_wins_and_the_job_is_told(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, prompt = await ruled_and_answered(here)
    before_the_next_write(here, monkeypatch, lambda: there.answer(prompt, principal=BOB))
    with pytest.raises(IdReused, match="is ANSWERED and was another question"):
        await here.ask(job, "a", question("Now?"))
    assert await winner_of(here, job) == (AnswerSource.HUMAN, "bob", 1)


async def test_a_rule_whose_commit_comes_first_wins_and_the_person_is_told(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, prompt = await ruled_and_answered(here)
    before_the_next_write(there, monkeypatch, lambda: here.ask(job, "a", question("Now?")))
    said = await there.answer(prompt, principal=BOB)
    assert said.status is AnswerStatus.CLOSED
    resolution = said.prompt.resolution
    assert resolution is not None
    assert resolution.answer is not None
    assert (resolution.answer.source, resolution.answer.user_id) == (AnswerSource.RULE, "ann")
    assert await winner_of(here, job) == (AnswerSource.RULE, "ann", 2)


async def winner_of(here: Node, job: Job) -> tuple[AnswerSource, str, int]:
    """Source, author and revision of the answer that resolved the only prompt of a job."""
    aggregate, _ = await check_job(here.database, job.job_id)
    [prompt] = aggregate.prompts.values()
    assert prompt.resolution is not None
    answer = prompt.resolution.answer
    assert answer is not None
    return answer.source, answer.user_id, answer.revision


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
