"""Rules over gRPC: written, approved by a second person, applied, previewed and suggested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import rule_pb2 as rules
from tests.support.refusals import expect_refusal
from tests.support.requests import ACCEPT, REJECT, answer, confirm
from tests.support.rule_requests import create, example, spec, tool
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.token_files import TokenFile
from tests.support.waiting import until

OPEN, ANSWERED = prompts.PROMPT_STATE_PENDING, prompts.PROMPT_STATE_ANSWERED
BOTH = ["console", "policy"]


@pytest_asyncio.fixture
async def service(migrated_db_url: str, tmp_path: Path) -> AsyncIterator[ServiceWorld]:
    """A service whose own stubs call as `ada`, a client and worker. Rules of `strict` need an approval."""
    tokens = TokenFile(
        tmp_path / "tokens.toml",
        ada={"roles": ["client", "worker"], "namespaces": ["default", "strict"]},
        pia={"roles": BOTH, "groups": ["ops"], "namespaces": ["default", "strict"]},
        quin={"roles": BOTH, "groups": ["risk"], "namespaces": ["default", "strict"]},
        rob={"groups": ["risk"], "namespaces": ["strict"]},
        bot={"roles": ["policy"]},
        tom={"namespaces": ["strict"]},
    )
    async with serving(migrated_db_url, auth=str(tokens.path), rules_need_approval="strict=risk") as running:
        caller = running.with_token("ada-token")
        running.jobs, running.hitl, running.workers = caller.jobs, caller.hitl, caller.workers
        await running.service.replica.directory.write()
        yield running


def person(service: ServiceWorld, name: str) -> Caller:
    return service.with_token(f"{name}-token")


async def asked(service: ServiceWorld, content: Any, namespace: str = "default") -> Any:
    """The prompt of a new job without a worker."""
    request = jobs.CreateJobRequest(namespace=namespace, job_type="t", prompt=content)
    return (await service.jobs.CreateJob(request)).prompt


async def test_a_rule_is_written_applied_changed_and_deleted(service: ServiceWorld) -> None:
    pia = person(service, "pia")
    before = await asked(service, tool())
    request = create()
    request.request_id = "once"
    rule = (await pia.policies.CreateRule(request)).rule
    assert (rule.state, rule.revision, rule.author) == (rules.RULE_STATE_ACTIVE, 1, "pia")
    assert (await pia.policies.CreateRule(request)).rule == rule
    another = create(name="another")
    another.request_id = "once"
    await expect_refusal(pia.policies.CreateRule(another), "ALREADY_EXISTS", "ID_REUSED")
    prompt = await asked(service, tool())
    assert prompt.state == ANSWERED
    said = prompt.resolution.answer
    assert (said.source, said.user_id) == (prompts.ANSWER_SOURCE_RULE, "pia")
    assert (said.rule_id, said.rule_revision) == (rule.rule_id, 1)
    assert (await asked(service, tool("rm"))).state == OPEN
    assert (await service.prompt(before.prompt_id)).state == OPEN  # it was open before the rule
    worker = await service.ask(await service.lease_new_job("w"), "k", tool())
    assert worker.state == ANSWERED
    off = pb.UpdateRuleRequest(rule_id=rule.rule_id, enabled=False)
    assert (await pia.policies.UpdateRule(off)).rule.state == rules.RULE_STATE_OFF
    assert (await asked(service, tool())).state == OPEN
    changed = pb.UpdateRuleRequest(
        rule_id=rule.rule_id, spec=spec(refuse=rules.RuleRefusal(comment="no ls")), expected_revision=1
    )
    after = (await person(service, "quin").policies.UpdateRule(changed)).rule
    assert (after.revision, after.author, after.uses) == (2, "quin", 2)
    refused = await asked(service, tool())
    assert (refused.resolution.answer.decision, refused.resolution.answer.comment) == (REJECT, "no ls")
    found = await expect_refusal(pia.policies.UpdateRule(changed), "ABORTED", "RULE_CHANGED")
    assert found.metadata["newest"] == "2"
    gone = pb.DeleteRuleRequest(rule_id=rule.rule_id)
    await pia.policies.DeleteRule(gone)
    await pia.policies.DeleteRule(gone)
    assert (await asked(service, tool())).state == OPEN
    assert not (await pia.policies.ListRules(pb.ListRulesRequest())).rules
    [kept] = (await pia.policies.ListRules(pb.ListRulesRequest(include_deleted=True))).rules
    assert (kept.state, kept.spec.refuse.comment) == (rules.RULE_STATE_DELETED, "no ls")
    await expect_refusal(pia.policies.UpdateRule(off), "NOT_FOUND", "RULE_NOT_FOUND")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("matching", {"matching": []}, "needs an example"),
    ("not_matching", {"not_matching": []}, "needs an example"),
    ("matching[0]", {"matching": [example('{"tool":"rm"}')]}, "is not matched"),
    ("not_matching[0]", {"not_matching": [example()]}, "is matched"),
    ("not_matching[0]", {"not_matching": [example("")]}, "cannot be evaluated"),
    ("match", {"match": rules.RuleMatch()}, "must name something"),
    ("match.expression", {"match": rules.RuleMatch(expression="metadata.x")}, "must be a condition"),
    ("unless", {"unless": "nothing"}, "undeclared"),
    ("answer.decision", {"answer": rules.RuleAnswer(decision=REJECT)}, "use refuse"),
    ("name", {"name": ""}, "is required"),
    ("reason", {"reason": ""}, "is required"),
    ("route", {"route": rules.RuleRoute()}, "must change something"),
    ("max_uses", {"ask": rules.RuleAsk(), "max_uses": 3}, "must be 0"),
]


async def test_a_wrong_rule_is_refused_with_what_is_wrong(service: ServiceWorld) -> None:
    pia = person(service, "pia")
    for field, fields, text in WRONG:
        found = await expect_refusal(
            pia.policies.CreateRule(create(**fields)), "INVALID_ARGUMENT", "INVALID_FIELD"
        )
        assert text in found.violations[f"spec.{field}"], (field, found.violations)
    large = create(matching=[rules.RuleExample(content=tool(body="x" * 300_000))])
    found = await expect_refusal(pia.policies.CreateRule(large), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert (
        "at most 262144" in found.violations["spec.matching"]
    )  # a list with it would be larger than a message
    late = spec()
    late.expire_time.FromSeconds(4_000_000_000)
    call = pia.policies.CreateRule(pb.CreateRuleRequest(spec=late))
    assert "spec.expire_time" in (await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")).violations
    refused = person(service, "bot").policies.CreateRule(create())
    found = await expect_refusal(refused, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert found.metadata["needs"] == "console"
    assert (await person(service, "bot").policies.CreateRule(create(ask=rules.RuleAsk()))).rule.revision == 1


async def proposal(service: ServiceWorld, rule: Any) -> Any:
    """The prompt that asks a second person about a rule."""
    filter = hitl.PromptFilter(job_id=rule.proposal_job_id)
    [found] = (await person(service, "quin").hitl.ListPrompts(hitl.ListPromptsRequest(filter=filter))).prompts
    return found


async def test_a_second_person_activates_exactly_the_revision_that_it_has_read(service: ServiceWorld) -> None:
    pia, quin, policy = person(service, "pia"), person(service, "quin"), service.service.replica.policy
    # A rule that would accept its own approval, if rules answered such prompts.
    broad = spec(
        match=rules.RuleMatch(kinds=["confirm"], expression="prompt.title != ''"),
        not_matching=[rules.RuleExample(content=confirm(kind="preview"))],
    )
    rule = (await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=broad))).rule
    assert (rule.state, rule.proposed_revision, rule.proposed_by) == (rules.RULE_STATE_PROPOSED, 1, "pia")
    assert (await asked(service, tool(), "strict")).state == OPEN
    prompt = await proposal(service, rule)
    assert "prompt.title != ''" in prompt.content.body
    await expect_refusal(pia.hitl.AnswerPrompt(answer(prompt)), "NOT_FOUND", "PROMPT_NOT_FOUND")
    await quin.hitl.AnswerPrompt(answer(prompt))
    await policy.settle()
    await policy.settle()
    # No rule is applied to such prompts, so none is previewed with them or drafted from them.
    preview = pb.PreviewRuleRequest(namespace="strict", spec=broad)
    assert (await pia.policies.PreviewRule(preview)).prompts == 1
    of_approval = pb.SuggestRulesRequest(namespace="strict", prompt_id=prompt.prompt_id)
    await expect_refusal(pia.policies.SuggestRules(of_approval), "INVALID_ARGUMENT", "INVALID_FIELD")
    listing = pb.ListRulesRequest(namespace="strict")
    [rule] = (await pia.policies.ListRules(listing)).rules
    assert (rule.state, rule.revision, rule.authorised_by) == (rules.RULE_STATE_ACTIVE, 1, "quin")
    assert (await asked(service, tool(), "strict")).state == ANSWERED
    # A wider revision waits while the first one works; a rejected one changes nothing.
    wider = spec(match=rules.RuleMatch(kinds=["confirm", "validate"], expression="true"), **_preview())
    rule = (
        await pia.policies.UpdateRule(
            pb.UpdateRuleRequest(namespace="strict", rule_id=rule.rule_id, spec=wider)
        )
    ).rule
    assert (rule.state, rule.revision, rule.proposed_revision) == (rules.RULE_STATE_ACTIVE, 1, 2)
    second = await proposal(service, rule)
    assert second.state == OPEN  # the active rule matches it, and may not answer it
    await quin.hitl.AnswerPrompt(answer(second, decision=REJECT))
    await policy.settle()
    [rule] = (await pia.policies.ListRules(listing)).rules
    assert (rule.revision, rule.proposed_revision, rule.newest_revision) == (1, 0, 2)
    # Ending earlier and switching off need no approval.
    broad.max_uses = 5
    broad.expire_time.CopyFrom(rule.spec.expire_time)
    shorter = pb.UpdateRuleRequest(namespace="strict", rule_id=rule.rule_id, spec=broad)
    rule = (await quin.policies.UpdateRule(shorter)).rule
    assert (rule.revision, rule.author, rule.spec.max_uses) == (3, "pia", 5)
    off = pb.UpdateRuleRequest(namespace="strict", rule_id=rule.rule_id, enabled=False)
    assert (await quin.policies.UpdateRule(off)).rule.state == rules.RULE_STATE_OFF
    on = pb.UpdateRuleRequest(namespace="strict", rule_id=rule.rule_id, enabled=True)
    assert (await quin.policies.UpdateRule(on)).rule.proposed_revision == 4


def _preview() -> dict[str, Any]:
    return {"not_matching": [rules.RuleExample(content=confirm(kind="preview"))]}


async def test_neither_the_author_nor_a_rule_approves_a_rule(service: ServiceWorld) -> None:
    pia, quin, rob = (person(service, name) for name in ("pia", "quin", "rob"))
    broad = spec(
        match=rules.RuleMatch(kinds=["confirm"], expression="prompt.title != ''"),
        not_matching=[rules.RuleExample(content=confirm(kind="preview"))],
    )
    rule = (await quin.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=broad))).rule
    # The author belongs to the group that approves.
    own = await proposal(service, rule)
    await expect_refusal(quin.hitl.AnswerPrompt(answer(own)), "PERMISSION_DENIED", "EXCLUDED")
    await rob.hitl.AnswerPrompt(answer(own))
    await service.service.replica.policy.settle()
    risk = prompts.Audience(groups=["risk"])
    assert (await asked(service, tool(audience=risk), "strict")).state == ANSWERED
    # Its rule matches the prompt about another rule, and could answer it if rules did.
    other = (await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec()))).rule
    assert (await proposal(service, other)).state == OPEN


async def test_no_client_takes_the_approval_of_a_rule_from_those_who_approve(service: ServiceWorld) -> None:
    pia = person(service, "pia")
    request = pb.CreateRuleRequest(namespace="strict", spec=spec(), request_id="r")
    rule = (await pia.policies.CreateRule(request)).rule
    prompt = await proposal(service, rule)
    friend = hitl.ReroutePromptRequest(prompt_id=prompt.prompt_id, audience=prompts.Audience(users=["bot"]))
    await expect_refusal(service.hitl.ReroutePrompt(friend), "PERMISSION_DENIED", "PERMISSION_DENIED")
    mine = hitl.DelegatePromptRequest(prompt_id=prompt.prompt_id, user="tom", comment="for me")
    mine.mode = hitl.DELEGATION_MODE_TRANSFER
    quin = person(service, "quin").hitl
    await expect_refusal(quin.DelegatePrompt(mine), "FAILED_PRECONDITION", "DELEGATION_REFUSED")
    # A job of this type would be one that no rule is applied to; one with this id would be in the way.
    own = jobs.CreateJobRequest(job_type="askback.rules", prompt=tool())
    found = await expect_refusal(service.jobs.CreateJob(own), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert "job_type" in str(found)
    squat = jobs.CreateJobRequest(job_type="t", request_id="askback.rules:r@1", prompt=tool())
    await expect_refusal(service.jobs.CreateJob(squat), "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_no_client_ends_the_approval_of_a_rule(service: ServiceWorld) -> None:
    pia, quin, policy = person(service, "pia"), person(service, "quin"), service.service.replica.policy
    request = pb.CreateRuleRequest(namespace="strict", spec=spec(), request_id="kept")
    rule = (await pia.policies.CreateRule(request)).rule
    prompt, job_id = await proposal(service, rule), rule.proposal_job_id
    update = jobs.UpdateJobRequest(job={"job_id": job_id}, update_mask={"paths": ["labels"]})
    state = {"job_id": job_id, "complete": True}
    note = jobs.UpdateDeepUnderstandingRequest(deep_understanding=state, update_mask={"paths": ["complete"]})
    for call in (
        service.jobs.CancelJob(jobs.CancelJobRequest(job_id=job_id)),
        service.jobs.UpdateJob(update),
        service.jobs.UpdateDeepUnderstanding(note),
        service.hitl.CancelPrompt(hitl.CancelPromptRequest(prompt_id=prompt.prompt_id)),
    ):
        await expect_refusal(call, "PERMISSION_DENIED", "PERMISSION_DENIED")
    await quin.hitl.AnswerPrompt(answer(prompt))
    delete = service.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=job_id))
    await expect_refusal(delete, "PERMISSION_DENIED", "PERMISSION_DENIED")
    await policy.settle()
    [rule] = (await pia.policies.ListRules(pb.ListRulesRequest(namespace="strict"))).rules
    assert rule.state == rules.RULE_STATE_ACTIVE


async def test_a_proposal_is_asked_once_although_the_setting_has_changed(service: ServiceWorld) -> None:
    """The replica was killed after it created the job, and starts again with another group."""
    replica = service.service.replica
    pia = person(service, "pia").policies
    rule = (await pia.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec()))).rule

    def forget(stored: Any, now: Any) -> Any:
        return replace(stored, proposal=replace(stored.proposal, job_id=""))

    limits = replace(replica.policy._limits, rule_approvers={"strict": "others"})
    await replica.policy._store.change(rule.rule_id, "strict", forget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replica.policy, "_limits", limits)
        await replica.rules.load()
        await replica.policy.settle()
    [again] = (await pia.ListRules(pb.ListRulesRequest(namespace="strict"))).rules
    assert again.proposal_job_id == rule.proposal_job_id


async def test_an_answer_id_that_a_person_has_used_stops_no_rule(service: ServiceWorld) -> None:
    pia = person(service, "pia")
    rule = (await pia.policies.CreateRule(create())).rule
    lease = await service.lease_new_job("w")
    prompt = await service.ask(lease, "k", tool("rm"))
    invalid = answer(prompt, decision=prompts.DECISION_REVISE)
    invalid.answer_id = f"rule:{rule.rule_id}@1:2"  # of the rule and the next revision
    await expect_refusal(pia.hitl.AnswerPrompt(invalid), "INVALID_ARGUMENT", "ANSWER_INVALID")
    amended = tool("ls")
    amended.title = "Run ls?"
    assert (await service.ask(lease, "k", amended)).state == ANSWERED


async def test_an_approval_survives_a_crash_between_its_steps(service: ServiceWorld) -> None:
    pia, quin, replica = person(service, "pia"), person(service, "quin"), service.service.replica
    policy = replica.policy
    ask = policy._ask

    async def crash(*_: Any) -> Any:
        raise ConnectionError("the process has died")

    policy._ask = crash  # type: ignore[method-assign]
    with pytest.raises(Exception, match="error"):
        await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec(), request_id="r"))
    policy._ask = ask  # type: ignore[method-assign]
    await replica.rules.load()
    await policy.settle()  # creates the job
    [rule] = (await pia.policies.ListRules(pb.ListRulesRequest(namespace="strict"))).rules
    await quin.hitl.AnswerPrompt(answer(await proposal(service, rule)))
    await policy.settle()
    assert (await asked(service, tool(), "strict")).state == ANSWERED


async def test_a_replica_without_the_setting_asks_no_one(service: ServiceWorld) -> None:
    pia, policy = person(service, "pia"), service.service.replica.policy
    ask, limits = policy._ask, policy._limits

    async def crash(*_: Any) -> Any:
        raise ConnectionError("the process has died")

    policy._ask = crash  # type: ignore[method-assign]
    with pytest.raises(Exception, match="error"):
        await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec()))
    policy._ask = ask  # type: ignore[method-assign]
    await service.service.replica.rules.load()
    listing = pb.ListRulesRequest(namespace="strict")
    policy._limits = replace(limits, rule_approvers={})
    await policy.settle()
    [rule] = (await pia.policies.ListRules(listing)).rules
    assert (rule.state, rule.proposal_job_id) == (rules.RULE_STATE_PROPOSED, "")
    policy._limits = limits
    await policy.settle()
    [rule] = (await pia.policies.ListRules(listing)).rules
    assert list((await proposal(service, rule)).content.audience.groups) == ["risk"]


async def test_a_proposal_that_does_not_wait_any_more_is_not_asked_about(service: ServiceWorld) -> None:
    pia = person(service, "pia")
    rule = (await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec()))).rule
    first = await proposal(service, rule)
    again = pb.UpdateRuleRequest(namespace="strict", rule_id=rule.rule_id, spec=spec(name="other"))
    rule = (await pia.policies.UpdateRule(again)).rule
    assert (await service.prompt(first.prompt_id)).state == prompts.PROMPT_STATE_CANCELLED
    second = await proposal(service, rule)
    assert second.state == OPEN
    await pia.policies.DeleteRule(pb.DeleteRuleRequest(namespace="strict", rule_id=rule.rule_id))
    assert (await service.prompt(second.prompt_id)).state == prompts.PROMPT_STATE_CANCELLED


async def test_a_rule_that_is_deleted_while_its_job_is_created_is_not_asked_about(
    service: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    pia, engine = person(service, "pia"), service.service.replica.policy._engine
    execute, made = engine.execute, list[Any]()

    async def delete_after(command: Any) -> Any:
        made.append(await execute(command))
        monkeypatch.undo()
        [rule] = (await pia.policies.ListRules(pb.ListRulesRequest(namespace="strict"))).rules
        await pia.policies.DeleteRule(pb.DeleteRuleRequest(namespace="strict", rule_id=rule.rule_id))
        return made[0]

    monkeypatch.setattr(engine, "execute", delete_after)
    await pia.policies.CreateRule(pb.CreateRuleRequest(namespace="strict", spec=spec()))
    assert (await service.prompt(made[0].prompt.prompt_id)).state == prompts.PROMPT_STATE_CANCELLED


async def test_a_rule_of_one_replica_is_known_at_the_other(service: ServiceWorld, tmp_path: Path) -> None:
    config = service.service.config
    if config.db.startswith("sqlite"):
        return  # one replica serves a file
    async with serving(config.db, auth=config.auth, replica="r2") as other:
        rule = (await person(service, "pia").policies.CreateRule(create())).rule
        ada = other.with_token("ada-token")

        async def answered() -> bool:
            request = jobs.CreateJobRequest(job_type="t", prompt=tool())
            return bool((await ada.jobs.CreateJob(request)).prompt.state == ANSWERED)

        await until(answered)
        await person(service, "pia").policies.DeleteRule(pb.DeleteRuleRequest(rule_id=rule.rule_id))
        assert not await answered()


async def test_a_preview_compares_with_what_people_did(service: ServiceWorld) -> None:
    pia, quin = person(service, "pia"), person(service, "quin")
    said: list[tuple[str, int]] = [("ls", ACCEPT)] * 3 + [("ls", REJECT)] * 2 + [("rm", REJECT)]
    for name, decision in said:
        await quin.hitl.AnswerPrompt(answer(await asked(service, tool(name)), decision=decision))
    await asked(service, tool())
    found = await pia.policies.PreviewRule(pb.PreviewRuleRequest(spec=spec(matching=[], not_matching=[])))
    cells = {
        (pb.RuleVerdict.Name(c.rule)[13:], pb.PeopleVerdict.Name(c.people)[15:]): c.count for c in found.cells
    }
    assert cells == {
        ("ANSWER", "ACCEPT"): 3,
        ("ANSWER", "REJECT"): 2,
        ("ANSWER", "NONE"): 1,
        ("NO_MATCH", "REJECT"): 1,
    }
    assert found.prompts == 7
    assert [(c.user_id, c.people) for c in found.conflicts] == [("quin", pb.PEOPLE_VERDICT_REJECT)] * 2
    assert not found.findings
    await pia.policies.CreateRule(create(refuse=rules.RuleRefusal(comment="no")))
    [lint] = (await pia.policies.PreviewRule(pb.PreviewRuleRequest(spec=spec()))).findings
    assert lint.lint == pb.RULE_LINT_SHADOWED
    nothing = spec(match=rules.RuleMatch(kinds=["none"]), matching=[], not_matching=[])
    [lint] = (await pia.policies.PreviewRule(pb.PreviewRuleRequest(spec=nothing))).findings
    assert lint.lint == pb.RULE_LINT_NEVER_MATCHES


async def test_suggestions_are_drafts_that_can_be_adopted(service: ServiceWorld) -> None:
    pia, quin = person(service, "pia"), person(service, "quin")
    for number in range(5):
        content = confirm(metadata_json=f'{{"tool":"ls","n":{number}}}')
        await quin.hitl.AnswerPrompt(answer(await asked(service, content)))
    for _ in range(2):
        last = await asked(service, tool("rm"))
        await quin.hitl.AnswerPrompt(answer(last, decision=REJECT))
    open_one = await asked(service, confirm(metadata_json='{"tool":"ls","n":9}'))
    [draft] = (await pia.policies.SuggestRules(pb.SuggestRulesRequest())).suggestions
    assert draft.spec.match.expression == 'metadata["tool"] == "ls"'
    assert (draft.support, draft.exceptions, list(draft.users)) == (5, 0, ["quin"])
    assert draft.open_prompts == 1
    assert not (await pia.policies.ListRules(pb.ListRulesRequest())).rules
    await pia.policies.CreateRule(pb.CreateRuleRequest(spec=draft.spec))
    assert (await asked(service, confirm(metadata_json='{"tool":"ls","n":10}'))).state == ANSWERED
    assert (await service.prompt(open_one.prompt_id)).state == OPEN
    [always] = (await pia.policies.SuggestRules(pb.SuggestRulesRequest(prompt_id=last.prompt_id))).suggestions
    assert always.spec.refuse.comment
    assert always.spec.match.expression == 'metadata["tool"] == "rm" && metadata.size() == 1'
    assert (always.support, always.exceptions) == (2, 0)
    await pia.policies.CreateRule(pb.CreateRuleRequest(spec=always.spec))
    refused = await asked(service, tool("rm"))
    assert refused.resolution.answer.decision == REJECT
    # What no person decided is no exception.
    [again] = (await pia.policies.SuggestRules(pb.SuggestRulesRequest(prompt_id=last.prompt_id))).suggestions
    assert (again.support, again.exceptions) == (2, 0)
    assert (await asked(service, confirm(metadata_json='{"tool":"rm","force":true}'))).state == OPEN
    unanswered = pb.SuggestRulesRequest(prompt_id=open_one.prompt_id)
    await expect_refusal(pia.policies.SuggestRules(unanswered), "INVALID_ARGUMENT", "INVALID_FIELD")
