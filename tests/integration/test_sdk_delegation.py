"""The SDK delegates, gives back, reroutes and sets absences, by calls, on a console, and synchronously."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from askback import (
    Absence,
    After,
    Client,
    DelegationCause,
    DelegationPolicy,
    DelegationRefused,
    DelegationScope,
    InvalidArgument,
    InvalidTime,
    NotFound,
    PermissionDenied,
    PromptInfo,
    Verdict,
    sync,
)
from tests.support.service import ServiceWorld, serving
from tests.support.token_files import TokenFile
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG = timedelta(hours=6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        amy={"groups": ["release"]},
        ben={"groups": ["qa"]},
        cat={"groups": ["qa"]},
        dan={},
        root={"roles": ["admin"]},
    )
    async with serving(shared_lite_url, auth=str(people.path)) as running:
        await running.service.replica.directory.write()
        yield running


@pytest.fixture
def person(world: ServiceWorld) -> Any:
    return lambda name: Client(f"127.0.0.1:{world.service.port}", token=f"{name}-token")


async def ask(root: Client, **options: Any) -> tuple[Any, PromptInfo]:
    run = await root.ask("Release 1.4?", **options)
    return run, await root.prompt(job_id=run.job_id, key="prompt")


async def test_a_transferred_prompt_is_answered_on_behalf_of_its_holder(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben:
        run, prompt = await ask(root, to=["user:amy"])
        given = await amy.delegate(prompt, to="ben", comment="I wrote it")
        [delegation] = given.delegations
        assert (delegation.holder, delegation.giver, delegation.to) == ("amy", "amy", "user:ben")
        assert (delegation.transferred, delegation.cause, delegation.comment, delegation.until) == (
            True,
            DelegationCause.PERSON,
            "I wrote it",
            None,
        )
        assert given.delegated_to("ben", ["qa"]) == delegation
        assert given.delegated_to("amy") is None
        with pytest.raises(NotFound):
            await amy.answer(prompt, "ACCEPT")
        assert (await amy.delegate(prompt, to="ben", comment="I wrote it")).delegations == (delegation,)
        outcome = await ben.answer(prompt.prompt_id, "ACCEPT")
        answer = outcome.prompt.answered
        assert answer is not None
        assert (answer.by, answer.on_behalf_of) == ("ben", "amy")
        verdict: Verdict[None] = await run.result()
        assert (verdict.by, verdict.on_behalf_of, verdict["on_behalf_of"]) == ("ben", "amy", "amy")
        assert "on behalf of 'amy'" in repr(answer)


async def test_a_right_is_given_back_and_taken_back_also_when_the_prompt_is_not_seen(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben:
        _, prompt = await ask(root, to=["user:amy"])
        await amy.delegate(prompt, to="ben")
        assert (await ben.return_prompt(prompt)).delegations == ()
        await amy.delegate(prompt, to="ben")
        with pytest.raises(NotFound):
            await amy.prompt(prompt.prompt_id)
        assert (await amy.return_prompt(prompt.prompt_id, to="ben")).delegations == ()
        assert (await amy.answer(prompt, "ACCEPT")).prompt.answered.on_behalf_of == ""


async def test_a_vote_names_the_person_for_whom_it_counts(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("dan") as dan, person("cat") as cat:
        run, prompt = await ask(root, to=["user:amy", "user:dan"], approval=2)
        added = await amy.delegate(prompt, group="qa", add=True)
        assert [(each.to, each.transferred) for each in added.delegations] == [("group:qa", False)]
        shown = (await cat.answer(prompt.prompt_id, "ACCEPT")).prompt
        assert [(vote.by, vote.on_behalf_of) for vote in shown.votes] == [("cat", "amy")]
        await dan.answer(prompt, "ACCEPT")
        assert (await run.result()).voters == ("cat", "dan")


@pytest.mark.parametrize(
    ("policy", "to", "because"),
    [
        (DelegationScope.NO_ONE, {"to": "ben"}, "POLICY"),
        ("AUDIENCE", {"group": "qa"}, "POLICY"),
        (DelegationPolicy("group:qa"), {"to": "dan"}, "POLICY"),
        (None, {"to": "zoe"}, "UNKNOWN"),
        (None, {"to": "amy"}, "CHAIN"),
    ],
)
async def test_a_refusal_says_why(person: Any, policy: Any, to: dict[str, str], because: str) -> None:
    async with person("root") as root, person("amy") as amy:
        _, prompt = await ask(root, to=["user:amy"], delegation=policy)
        if isinstance(policy, DelegationPolicy):
            assert prompt.delegation_policy == policy
        with pytest.raises(DelegationRefused) as refused:
            await amy.delegate(prompt, **to)
        assert refused.value.because == because
        with pytest.raises(PermissionDenied):
            await root.delegate(prompt, to="ben")


async def test_names_are_checked_before_the_call(person: Any) -> None:
    async with person("root") as root:
        for wrong in ({}, {"to": "ben", "group": "qa"}):
            with pytest.raises(ValueError, match="give one of them"):
                await root.delegate("p", **wrong)
        with pytest.raises(ValueError, match="give one of them"):
            await root.return_prompt("p", to="ben", group="qa")
        with pytest.raises(ValueError, match="takes no names"):
            await root.ask("?", delegation=DelegationPolicy("user:amy", scope="NO_ONE"))
        with pytest.raises(ValueError, match="takes names"):
            await root.ask("?", delegation="LISTED")
        with pytest.raises(InvalidTime):
            await root.set_absence(datetime(2027, 1, 1))


async def test_the_asker_reroutes_a_prompt(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("dan") as dan:
        _, prompt = await ask(root, to=["user:amy"], deadline=LONG, escalate=[After(LONG / 2).to("group:qa")])
        await amy.delegate(prompt, to="ben")
        moved = await root.reroute(prompt, to=["user:dan"], priority=3, deadline=60, reason="amy has left")
        assert (list(moved.proto.content.audience.users), moved.priority) == (["dan"], 3)
        assert (moved.delegations, moved.escalates_at) == ((), prompt.escalates_at)
        assert moved.expires_at is not None
        assert prompt.expires_at is not None
        assert moved.expires_at < prompt.expires_at
        stopped = await root.reroute(prompt, escalate=[])
        assert (stopped.escalates_at, stopped.expires_at) == (None, moved.expires_at)
        again = await root.reroute(prompt, escalate=[After(30).to("user:ben")])
        assert again.escalates_at is not None
        at = datetime.now(UTC) + timedelta(hours=2)
        assert (await root.reroute(prompt, deadline=at)).expires_at is not None
        with pytest.raises(InvalidArgument):
            await root.reroute(prompt)
        with pytest.raises(InvalidArgument, match="not for everyone"):
            await root.reroute(prompt, to=[])
        await dan.answer(prompt, "ACCEPT")  # what was asked is the same


async def test_a_substitute_answers_while_a_person_is_away(person: Any) -> None:
    async with person("root") as root, person("dan") as dan, person("ben") as ben:
        until = datetime.now(UTC).replace(microsecond=0) + LONG
        absence = await dan.set_absence(until, substitute="ben", comment="training")
        assert absence == Absence.from_proto(absence.proto)
        assert (absence.subject, absence.until, absence.substitute, absence.set_by) == (
            "dan",
            until,
            "ben",
            "dan",
        )
        assert (await dan.set_absence(until, substitute="ben", comment="training")) == absence
        later = await root.set_absence(until + 2 * LONG, since=until + LONG, subject="dan")
        found = [each.absence_id async for each in ben.list_absences(subject="dan", page_size=1)]
        assert found == [absence.absence_id, later.absence_id]
        run, prompt = await ask(root, to=["user:dan"])
        given = prompt.delegated_to("ben")
        assert given is not None
        assert (given.holder, given.cause, given.until) == ("dan", DelegationCause.ABSENCE, until)
        assert prompt.delegated_to("dan") is None
        await ben.answer(prompt, "ACCEPT")
        assert (await run.result()).on_behalf_of == "dan"
        with pytest.raises(NotFound) as unknown:
            await ben.delete_absence(absence.absence_id)
        assert unknown.value.reason == "ERROR_REASON_ABSENCE_NOT_FOUND"
        changed = await dan.set_absence(until + LONG / 2, absence_id=absence.absence_id)
        assert (changed.since, changed.substitute) == (absence.since, "")
        unbegun = await root.delete_absence(later.absence_id)
        assert unbegun.since == unbegun.until
        again = await root.set_absence(until + 3 * LONG, since=until + LONG / 2, subject="dan")  # no overlap
        await root.delete_absence(again.absence_id)
        ended = await root.delete_absence(absence.absence_id)
        assert ended.until is not None
        assert ended.until < until
        assert [each async for each in dan.list_absences()] == []
        assert len([each async for each in dan.list_absences(include_past=True)]) >= 1


async def test_a_console_delegates_and_gives_back(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben, AsyncExitStack() as opened:
        run, _ = await ask(root, to=["user:amy"])
        hers = await opened.enter_async_context(amy.console(job_id=run.job_id))
        his = await opened.enter_async_context(ben.console(job_id=run.job_id))
        shown = await anext(aiter(hers))
        left: list[str] = []
        hers.on_closed(lambda closing: left.append(closing.why))
        await shown.delegate(to="ben")
        await until(lambda: left == ["removed"])
        got = await anext(aiter(his))
        assert got.delegated_to("ben").giver == "amy"
        await got.give_back("not mine")
        back = await anext(aiter(hers))
        assert back.delegations == ()
        await back.delegate(group="qa", add=True)
        both = await anext(aiter(hers))
        assert both.delegations[0].group == "qa"
        with pytest.raises(ValueError, match="from whom"):
            await both.take_back()
        await both.take_back(group="qa")
        assert (await both.approve()).prompt.answered.on_behalf_of == ""


async def test_the_synchronous_client_has_the_same_calls(world: ServiceWorld, person: Any) -> None:
    import asyncio

    async with person("root") as root:
        _, prompt = await ask(root, to=["user:amy"])

    def use() -> None:
        with sync.Client(f"127.0.0.1:{world.service.port}", token="amy-token") as amy:
            assert amy.delegate(prompt, to="ben", add=True).delegations[0].user == "ben"
            assert amy.return_prompt(prompt, to="ben").delegations == ()
            absence = amy.set_absence(datetime.now(UTC) + LONG)
            assert list(amy.list_absences(subject="amy")) == [absence]
            amy.delete_absence(absence.absence_id)

    await asyncio.to_thread(use)
