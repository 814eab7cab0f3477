"""Exclusion, votes and overrides over gRPC: by every way in which a prompt can be written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import policy_service_pb2 as policy
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import rule_pb2 as rules
from tests.support.refusals import expect_refusal
from tests.support.requests import ACCEPT, REJECT, answer, confirm, seconds
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.token_files import TokenFile

RECORDED, ACCEPTED = prompts.ANSWER_STATUS_RECORDED, prompts.ANSWER_STATUS_ACCEPTED

# The calls of HitlService by which people decide a prompt or reserve it, and the others. The frames of
# Converse have the same names, in snake case.
DECIDING = {"AnswerPrompt", "AnswerPrompts", "ClaimPrompt", "DelegatePrompt"}
OTHER = {
    "Converse", "WatchPrompts", "ListPrompts", "GetPrompt", "GetReceipt", "ListAnswers", "ReleasePrompt",
    "OverridePrompt",  # for admins, where the namespace allows it
    "WithdrawAnswer", "CancelPrompt",  # end a vote, or the prompt without an answer
    "ReroutePrompt",  # by the asker, and an exclusion applies to all whom it names
}  # fmt: skip
# Where answers come from. People answer by the calls above, and rules in the name of their authors.
SOURCES = {"ANSWER_SOURCE_HUMAN", "ANSWER_SOURCE_RULE"}
NOT_OF_PEOPLE = {
    "ANSWER_SOURCE_UNSPECIFIED", "ANSWER_SOURCE_TIMEOUT_DEFAULT", "ANSWER_SOURCE_TEST",
    "ANSWER_SOURCE_OVERRIDE",  # by an admin, where the namespace allows it
}  # fmt: skip
FRAMES = {"hello", "heartbeat", "credit", "goodbye"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    """A service that allows overrides. Its own stubs call as `ada`, an admin and worker."""
    author = {"roles": ["console", "policy"]}
    people: dict[str, Any] = dict.fromkeys(("rita", "fred", "vera", "uma", "nora", "cora"), author)
    people["ada"] = {"roles": ["client", "worker", "console", "admin"]}
    people |= {
        "any": {**author, "groups": ["staff"]},
        "amy": {"groups": ["sales"]},
        "ben": {"groups": ["ops", "sales"]},
    }
    tokens = TokenFile(tmp_path_factory.mktemp("approvals") / "tokens.toml", **people)
    async with serving(shared_lite_url, auth=str(tokens.path), allow_override="default") as running:
        caller = running.with_token("ada-token")
        running.jobs, running.hitl, running.workers = caller.jobs, caller.hitl, caller.workers
        await running.service.replica.directory.write()
        yield running


def person(service: ServiceWorld, name: str) -> Caller:
    return service.with_token(f"{name}-token")


def test_every_call_and_frame_is_known_to_these_tests() -> None:
    """A new way to decide a prompt must be tested here with excluded people."""
    calls = {m.name for m in pb.DESCRIPTOR.services_by_name["HitlService"].methods}
    assert calls == DECIDING | OTHER
    frames = {f.name for f in pb.ConverseClientFrame.DESCRIPTOR.oneofs_by_name["body"].fields}
    snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:] for name in calls}
    assert frames - FRAMES == snake - {"converse", "watch_prompts"}
    assert set(prompts.AnswerSource.keys()) == SOURCES | NOT_OF_PEOPLE


def requests(prompt: Any, who: str) -> dict[str, Any]:
    """A request of each deciding call, by id and by job and key as far as the call takes both."""
    by_key = {"job_id": prompt.job_id, "key": prompt.key}
    said = answer(prompt, f"by-{who}")
    keyed = pb.AnswerPromptRequest(**by_key, answer_id=f"k-{who}", revision=1, decision=ACCEPT)
    claim = pb.ClaimPromptRequest(prompt_id=prompt.prompt_id, duration=seconds(60))
    give = pb.DelegatePromptRequest(prompt_id=prompt.prompt_id, mode=pb.DELEGATION_MODE_ADD, user="nora")
    found = {"AnswerPrompt": said, "AnswerPrompt by key": keyed, "ClaimPrompt": claim, "DelegatePrompt": give}
    assert {name.split()[0] for name in found} == DECIDING - {"AnswerPrompts"}
    return found


async def refused_everywhere(service: ServiceWorld, prompt: Any, who: str) -> None:
    caller = person(service, who)
    console = service.console(caller)
    await console.hello(filter=pb.PromptFilter(kinds=["none"]))
    await console.snapshot()
    for name, request in requests(prompt, who).items():
        call = name.split()[0]
        await expect_refusal(getattr(caller.hitl, call)(request), "PERMISSION_DENIED", "EXCLUDED")
        frame = "".join(f"_{c.lower()}" if c.isupper() else c for c in call)[1:]
        await console.ask_refused("PERMISSION_DENIED", "EXCLUDED", **{frame: request})
    items = [pb.AnswerPromptsItem(prompt_id=prompt.prompt_id, revision=1, answer_id=f"m-{who}")]
    several = pb.AnswerPromptsRequest(items=items, decision=ACCEPT)
    for reply in (await caller.hitl.AnswerPrompts(several), await console.ask(answer_prompts=several)):
        assert [r.error.reason for r in reply.results] == ["ERROR_REASON_EXCLUDED"]
    after = await service.prompt(prompt.prompt_id)
    assert (after.submissions, after.claimed_by, after.state) == (0, "", prompts.PROMPT_STATE_PENDING)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_excluded_person_cannot_decide_by_any_call_or_frame(service: ServiceWorld) -> None:
    lease = await service.lease_new_job("duties", user_id="rita")
    first = await service.ask(lease, "first")
    await person(service, "fred").hitl.AnswerPrompt(answer(first))
    voted = await service.ask(lease, "voted", confirm(approval=prompts.Approval(required=2)))
    await person(service, "vera").hitl.AnswerPrompt(answer(voted))
    exclude = prompts.Exclusion(
        requester=True, answerers_of=["first", "voted"], users=["uma"], groups=["staff"]
    )
    prompt = await service.ask(lease, "second", confirm(exclude=exclude))
    assert list(prompt.content.exclude.users) == ["ada", "fred", "rita", "uma", "vera"]
    # The creator of the job, its user, who answered and who voted before, a user, and a member of a group.
    for who in ("ada", "rita", "fred", "vera", "uma", "any"):
        await refused_everywhere(service, prompt, who)
        give = pb.DelegatePromptRequest(prompt_id=prompt.prompt_id, mode=pb.DELEGATION_MODE_ADD, user=who)
        await expect_refusal(
            person(service, "nora").hitl.DelegatePrompt(give), "FAILED_PRECONDITION", "DELEGATION_REFUSED",
            prompt_id=prompt.prompt_id, because="EXCLUDED",
        )  # fmt: skip
    result = (await person(service, "nora").hitl.AnswerPrompt(answer(prompt))).result
    assert result.status == ACCEPTED


async def make_rule(service: ServiceWorld, who: str) -> None:
    """A rule of a person that accepts what has its name as the label `rule`."""
    yes, no = ({"rule": name} for name in (who, "none"))
    spec = rules.RuleSpec(
        name=who,
        reason="often",
        match=rules.RuleMatch(labels=yes),
        answer=rules.RuleAnswer(decision=ACCEPT),
        matching=[rules.RuleExample(content=confirm(labels=yes))],
        not_matching=[rules.RuleExample(content=confirm(labels=no))],
    )
    await person(service, who).policies.CreateRule(policy.CreateRuleRequest(spec=spec))


@pytest.mark.asyncio(loop_scope="module")
async def test_an_excluded_person_cannot_decide_by_a_rule(service: ServiceWorld) -> None:
    lease = await service.lease_new_job("duties", user_id="rita")
    await person(service, "fred").hitl.AnswerPrompt(answer(await service.ask(lease, "first")))
    two = prompts.Approval(required=2, rules_may_fill=1)
    await person(service, "vera").hitl.AnswerPrompt(
        answer(await service.ask(lease, "voted", confirm(approval=two)))
    )
    exclude = prompts.Exclusion(
        requester=True, answerers_of=["first", "voted"], users=["uma"], groups=["staff"]
    )
    for who in ("ada", "rita", "fred", "vera", "uma", "any", "nora"):
        await make_rule(service, who)
        of_rule = {"labels": {"rule": who}}
        assert (await service.ask(lease, f"{who}-1", confirm(**of_rule))).resolution.answer.user_id == who
        alone = await service.ask(lease, f"{who}-2", confirm(exclude=exclude, **of_rule))
        voted = await service.ask(lease, f"{who}-3", confirm(exclude=exclude, approval=two, **of_rule))
        decides = who == "nora"
        assert (alone.submissions, alone.HasField("resolution")) == (int(decides), decides)
        assert [vote.user_id for vote in voted.votes] == ([who] if decides else [])


@pytest.mark.asyncio(loop_scope="module")
async def test_who_has_decided_by_a_rule_cannot_decide_again(service: ServiceWorld) -> None:
    await make_rule(service, "cora")
    of_rule, two = {"labels": {"rule": "cora"}}, prompts.Approval(required=2, rules_may_fill=1)
    for approval in (None, two):
        lease = await service.lease_new_job("duties")
        first = await service.ask(lease, "first", confirm(approval=approval, **of_rule))
        assert first.submissions == 1
        exclude = prompts.Exclusion(answerers_of=["first"])
        prompt = await service.ask(lease, "second", confirm(exclude=exclude, **of_rule))
        assert list(prompt.content.exclude.users) == ["cora"]
        await refused_everywhere(service, prompt, "cora")


@pytest.mark.asyncio(loop_scope="module")
async def test_votes_are_shown_counted_and_withdrawn(service: ServiceWorld) -> None:
    console = service.console(person(service, "cora"))
    await console.hello(filter=pb.PromptFilter(kinds=["vote"]))
    await console.snapshot()
    per_group = [prompts.GroupApproval(group="ops", required=1)]
    content = confirm(kind="vote", approval=prompts.Approval(required=2, per_group=per_group))
    asked = await service.create_prompt(content)
    amy, ben = person(service, "amy"), person(service, "ben")
    first = (await amy.hitl.AnswerPrompt(answer(asked, comment="fine"))).result
    assert (first.status, first.prompt.state) == (RECORDED, prompts.PROMPT_STATE_PENDING)
    assert (await console.event("upserted")).prompt.version == asked.version
    shown = (await console.event("upserted")).prompt
    [vote] = shown.votes
    assert (vote.user_id, vote.decision, vote.comment, list(vote.groups)) == ("amy", ACCEPT, "fine", [])
    [count] = shown.vote_counts
    assert (count.votes, count.required, [m.group for m in count.missing]) == (1, 2, ["ops"])
    assert not shown.shortfalls  # ben is known from the token file
    named = {"prompt_id": asked.prompt_id, "answer_id": "a-1"}
    withdraw = pb.WithdrawAnswerRequest(**named)
    await expect_refusal(ben.hitl.WithdrawAnswer(withdraw), "NOT_FOUND", "ANSWER_NOT_FOUND", **named)
    assert not (await amy.hitl.WithdrawAnswer(withdraw)).prompt.votes
    assert not (await console.event("upserted")).prompt.votes
    voter = service.console(ben)
    await voter.hello(filter=pb.PromptFilter(kinds=["none"]))
    await voter.snapshot()
    result = (await voter.ask(answer_prompt=answer(asked, "b-1"))).result
    assert (result.status, [m.group for c in result.prompt.vote_counts for m in c.missing]) == (RECORDED, [])
    again = (await voter.ask(answer_prompt=answer(asked, "b-1"))).result
    assert (again.status, again.replayed) == (RECORDED, True)
    last = (await amy.hitl.AnswerPrompt(answer(asked, "a-2"))).result
    assert (last.status, last.prompt.resolution.answer.user_id) == (ACCEPTED, "amy")
    assert [v.user_id for v in last.prompt.votes] == ["ben", "amy"]
    await voter.ask_refused(
        "FAILED_PRECONDITION",
        "PROMPT_CLOSED",
        withdraw_answer=pb.WithdrawAnswerRequest(prompt_id=asked.prompt_id, answer_id="b-1"),
    )
    records = (await service.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=asked.prompt_id))).answers
    assert [(r.answer.answer_id, r.status) for r in records] == [
        ("a-1", RECORDED),
        ("b-1", RECORDED),
        ("a-2", ACCEPTED),
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_an_override_is_marked_and_needs_a_comment(service: ServiceWorld) -> None:
    exclude, approval = prompts.Exclusion(users=["ada"]), prompts.Approval(required=3)
    asked = await service.create_prompt(confirm(exclude=exclude, approval=approval))
    await person(service, "ben").hitl.ClaimPrompt(pb.ClaimPromptRequest(prompt_id=asked.prompt_id))
    override = pb.OverridePromptRequest(prompt_id=asked.prompt_id, answer_id="o", revision=1, decision=REJECT)
    refused = await expect_refusal(service.hitl.OverridePrompt(override), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert "comment" in refused.message
    override.comment = "the release is withdrawn"
    for replayed in (False, True):
        result = (await service.hitl.OverridePrompt(override)).result
        assert (result.status, result.replayed) == (ACCEPTED, replayed)
    said = result.prompt.resolution.answer
    assert (said.source, said.user_id) == (prompts.ANSWER_SOURCE_OVERRIDE, "ada")
    late = pb.OverridePromptRequest()
    late.CopyFrom(override)
    late.answer_id = "late"
    await expect_refusal(service.hitl.OverridePrompt(late), "FAILED_PRECONDITION", "PROMPT_CLOSED")
    as_answer = answer(asked, "o", REJECT, comment=override.comment)
    await expect_refusal(service.hitl.AnswerPrompt(as_answer), "ALREADY_EXISTS", "ID_REUSED")
