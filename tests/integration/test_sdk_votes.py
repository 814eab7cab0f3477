"""The SDK votes, withdraws and overrides, by calls and on a console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from askback import (
    AnswerSource,
    AnswerStatus,
    Approval,
    Client,
    Content,
    DecisionKind,
    Exclude,
    NotFound,
    PermissionDenied,
    PromptClosed,
    PromptInfo,
    Verdict,
)
from askback.terminal.vote_words import progress_words
from tests.support.service import ServiceWorld, serving
from tests.support.token_files import TokenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        amy={"groups": ["release"]},
        ben={"groups": ["qa"]},
        cat={},
        root={"roles": ["admin"]},
    )
    async with serving(shared_lite_url, auth=str(people.path), allow_override="*") as running:
        yield running


@pytest.fixture
def person(world: ServiceWorld) -> Any:
    return lambda name: Client(f"127.0.0.1:{world.service.port}", token=f"{name}-token")


async def ask(root: Client, **options: Any) -> tuple[Any, PromptInfo]:
    run = await root.ask("Release 1.4?", **options)
    return run, await root.prompt(job_id=run.job_id, key="prompt")


async def test_people_approve_together_and_the_verdict_names_them(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben, person("cat") as cat:
        approval = Approval(2, per_group={"release": 1}, reject_at=2)
        run, prompt = await ask(root, approval=approval)
        assert prompt.approval == approval
        first = await ben.answer(prompt, "ACCEPT", comment="fine")
        assert first.status is AnswerStatus.RECORDED
        [vote], [count] = first.prompt.votes, first.prompt.vote_counts
        assert (vote.by, vote.decision, vote.comment, vote.answer_id) == (
            "ben",
            "ACCEPT",
            "fine",
            first.answer_id,
        )
        assert (count.votes, count.required, count.missing, count.more) == (1, 2, {"release": 1}, 1)
        again = await cat.answer(prompt, "ACCEPT")
        assert again.prompt.vote_counts[0].more == 1  # two of two, and none of the group
        left = await cat.withdraw_answer(prompt, again.answer_id)
        assert [vote.by for vote in left.votes] == ["ben"]
        with pytest.raises(NotFound):
            await cat.withdraw_answer(prompt, first.answer_id)
        assert (await amy.answer(prompt, "ACCEPT")).status is AnswerStatus.ACCEPTED
        verdict: Verdict[None] = await run.result()
        assert (bool(verdict), verdict.by, verdict.voters, verdict.by_override) == (
            True,
            "amy",
            ("ben", "amy"),
            False,
        )
        with pytest.raises(PromptClosed):
            await ben.withdraw_answer(prompt, first.answer_id)


async def test_the_verdict_names_no_voter_whose_vote_has_lapsed(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben, person("cat") as cat:
        run, prompt = await ask(root, approval=2)
        await amy.answer(prompt, "ACCEPT")
        await root.set_person("amy", active=False)
        second = await ben.answer(prompt, "ACCEPT")
        assert second.status is AnswerStatus.RECORDED
        assert progress_words(second.prompt) == ["1 of 2 approve: ben; 1 more needed"]
        assert (await cat.answer(prompt, "ACCEPT")).status is AnswerStatus.ACCEPTED
        assert (await run.result()).voters == ("ben", "cat")
        await root.set_person("amy", active=True)


async def test_each_vote_for_a_proposal_has_its_edits(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben:
        contents = [Content("plan", "one", editable=True)]
        run, prompt = await ask(root, kind="preview", contents=contents, approval=3)
        await amy.answer(prompt, "EDIT", edits={"plan": "two"})
        shown = (await ben.answer(prompt, "EDIT", edits={"plan": "two"})).prompt
        assert [vote.edits for vote in shown.votes] == [{"plan": "two"}] * 2
        await root.override(prompt, "EDIT", edits=shown.votes[0].edits, comment="the others are away")
        verdict = await run.result()
        assert (verdict.by_override, verdict.text("plan"), verdict.voters) == (True, "two", ())
        assert verdict.prompt.answered.source is AnswerSource.OVERRIDE


async def test_excluded_people_cannot_answer_and_an_admin_can_override(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, person("ben") as ben:
        run, prompt = await ask(root, exclude=Exclude(requester=True, names=["group:release"]))
        assert prompt.exclude == Exclude(True, (), ("user:root", "group:release"))
        assert [prompt.excludes("root"), prompt.excludes("amy", ["release"]), prompt.excludes("ben")] == [
            True,
            True,
            False,
        ]
        for client in (root, amy):
            with pytest.raises(PermissionDenied, match="this prompt excludes you"):
                await client.answer(prompt, "ACCEPT")
        with pytest.raises(PermissionDenied):
            await ben.override(prompt, "ACCEPT", comment="why not")
        outcome = await root.override(prompt, "REJECT", comment="not today")
        assert outcome.status is AnswerStatus.ACCEPTED
        assert not await run.result()


async def test_a_program_that_answers_every_prompt_votes_once(person: Any) -> None:
    """Its own vote is a change of the prompt, which comes again."""
    async with person("root") as root, person("amy") as amy, person("ben") as ben, amy.console() as seat:
        run, prompt = await ask(root, approval=3)
        statuses = []
        async for shown in seat.prompts():
            outcome = await shown.approve()
            statuses.append((outcome.status, outcome.replayed))
            if len(statuses) == 1:
                await ben.answer(shown, "ACCEPT")  # a change by another person, which brings it again
            elif len(outcome.prompt.votes) == 2:
                break
        assert statuses[0] == (AnswerStatus.RECORDED, False)
        assert set(statuses[1:]) == {(AnswerStatus.RECORDED, True)}
        assert (await root.prompt(prompt.prompt_id)).proto.submissions == 2
        left = await shown.withdraw(outcome.answer_id)
        assert [vote.by for vote in left.votes] == ["ben"]
        async for shown in seat.prompts():
            if len(shown.votes) == 1:
                again = await shown.approve()
                break
        assert (again.replayed, again.answer_id != outcome.answer_id, len(again.prompt.votes)) == (
            False,
            True,
            2,
        )
        await run.cancel()


async def test_a_console_votes_withdraws_and_overrides_on_its_stream(person: Any) -> None:
    async with person("root") as root, person("amy") as amy, root.console() as desk, amy.console() as seat:
        run, prompt = await ask(root, approval=2)
        shown = await anext(p async for p in seat.prompts() if p.prompt_id == prompt.prompt_id)
        outcome = await shown.approve()
        assert (outcome.status, shown.is_answering, shown.still_open) == (AnswerStatus.RECORDED, False, True)
        voted = await anext(p async for p in desk.prompts() if p.votes)
        assert [vote.by for vote in voted.votes] == ["amy"]
        assert (await shown.withdraw(outcome.answer_id)).votes == ()
        assert (await voted.override(DecisionKind.ACCEPT, "it is urgent")).status is AnswerStatus.ACCEPTED
        assert not voted.still_open
        assert (await run.result()).by_override
