"""The SDK creates, previews, suggests and ends rules, and tells answers of rules from those of people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from askback import (
    Aborted,
    AnswerSource,
    Approval,
    Client,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RuleSpec,
    RuleState,
    sync,
)
from tests.support.service import ServiceWorld, serving
from tests.support.token_files import TokenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        pia={"roles": ["console", "policy"]},
        quin={"roles": ["console", "policy"]},
        amy={},
        bot={"roles": ["client"]},
    )
    async with serving(shared_lite_url, auth=str(people.path)) as running:
        await running.service.replica.directory.write()
        yield running


@pytest.fixture
def person(world: ServiceWorld) -> Any:
    return lambda name: Client(f"127.0.0.1:{world.service.port}", token=f"{name}-token")


def spec(tool: str, **fields: Any) -> dict[str, Any]:
    def example(name: str) -> dict[str, Any]:
        return {"content": {"kind": "confirm", "title": "Run?", "metadata": {"tool": name}}}

    given = {
        "name": f"allow {tool}",
        "reason": "it only reads",
        "match": {"kinds": ["confirm"], "expression": f"metadata.tool == '{tool}'"},
        "answer": {"decision": "ACCEPT", "comment": "as always"},
        "matching": [example(tool)],
        "not_matching": [example("rm")],
    }
    return given | fields


async def test_a_rule_answers_and_the_verdict_says_so(person: Any) -> None:
    async with person("pia") as pia, person("bot") as bot:
        rule = await pia.rules.create(spec("ls"), request_id="one")
        assert (rule.state, rule.author, rule.revision, rule.name) == (
            RuleState.ACTIVE,
            "pia",
            1,
            "allow ls",
        )
        assert await pia.rules.create(spec("ls"), request_id="one") == rule
        verdict = await (await bot.ask("Run ls?", metadata={"tool": "ls"})).result()
        assert verdict
        assert verdict.by_rule
        assert verdict.by == "pia"
        answer = verdict.prompt.answered
        assert (answer.source, answer.rule_id, answer.rule_revision) == (AnswerSource.RULE, rule.rule_id, 1)
        assert "by the rule" in repr(answer)
        assert rule.rule_id in [each.rule_id async for each in pia.rules.list(page_size=1)]
        await pia.rules.delete(rule)
        await pia.rules.delete(rule)
        assert rule.rule_id not in [each.rule_id async for each in pia.rules.list()]
        kept = {each.rule_id: each async for each in pia.rules.list(include_deleted=True)}
        assert kept[rule.rule_id].state is RuleState.DELETED


async def test_a_change_is_a_revision_and_switching_off_is_not(person: Any) -> None:
    async with person("pia") as pia, person("quin") as quin, person("amy") as amy:
        rule = await pia.rules.create(spec("cat", max_uses=3))
        off = await pia.rules.update(rule, enabled=False)
        assert (off.state, off.revision) == (RuleState.OFF, 1)
        changed = await quin.rules.update(rule, spec("cat"), expected_revision=1)
        assert (changed.author, changed.revision, changed.state) == ("quin", 2, RuleState.ACTIVE)
        with pytest.raises(Aborted):
            await pia.rules.update(rule, spec("cat"), expected_revision=1)
        with pytest.raises(PermissionDenied):
            await amy.rules.create(spec("cat"))
        with pytest.raises(InvalidArgument):
            await pia.rules.create(spec("cat", matching=[]))
        with pytest.raises(NotFound):
            await pia.rules.delete("0198c5f2-0000-7000-8000-000000000000")
        await pia.rules.delete(rule)


async def test_preview_and_drafts_come_from_what_people_decided(person: Any) -> None:
    async with person("pia") as pia, person("bot") as bot:
        for place in range(11):
            run = await bot.ask("Run df?", metadata={"tool": "df"}, request_id=f"df-{place}")
            prompt = await pia.prompt(job_id=run.job_id, key="prompt")
            await pia.answer(prompt, "REJECT" if place == 10 else "ACCEPT")
        preview = await pia.rules.preview(spec("df", matching=[], not_matching=[]))
        counts = {(cell.rule, cell.people): cell.count for cell in preview.cells}
        assert counts["ANSWER", "ACCEPT"] == 10
        assert counts["ANSWER", "REJECT"] == 1
        assert [each.prompt_id for each in preview.conflicts] == [prompt.prompt_id]
        [draft] = [each for each in await pia.rules.suggest(min_support=2) if "df" in str(each.spec.fields())]
        assert (draft.support, draft.exceptions, draft.users) == (10, 1, ("pia",))
        first = next(cell for cell in preview.cells if cell.people == "ACCEPT").samples[0]
        [one] = await pia.rules.suggest(first.prompt_id)
        assert one.spec.effect == "answer"
        assert RuleSpec(one.spec.fields()) == one.spec


def test_a_spec_names_what_does_not_fit() -> None:
    wrong = {
        "a rule has no field 'math'": {"math": {}},
        "a rule has no field 'match.job_type'": {"match": {"job_type": "x"}},
        "match.kinds must be a list": {"match": {"kinds": "confirm"}},
        "answer.decision: 'MAYBE' is not one of ACCEPT": {"answer": {"decision": "MAYBE"}},
        "match must be an object": {"match": "x"},
    }
    for message, fields in wrong.items():
        with pytest.raises(ValueError, match=message):
            RuleSpec(fields)
    routed = RuleSpec(
        {"route": {"timeout": timedelta(seconds=90), "priority": 0, "approval": {"required": 2}}}
    )
    assert routed.effect == "route"
    assert routed.fields() == {"route": {"timeout": "90s", "priority": 0, "approval": {"required": 2}}}
    with pytest.raises(ValueError, match="rules_may_fill"):
        Approval(2, rules_may_fill=-1).to_proto()
    assert Approval.from_proto(Approval(2, rules_may_fill=1).to_proto()).rules_may_fill == 1


async def test_the_synchronous_client_has_the_same_rules(world: ServiceWorld) -> None:
    def use() -> None:
        with sync.Client(f"127.0.0.1:{world.service.port}", token="pia-token") as client:
            rule = client.rules.create(spec("du"))
            assert rule.rule_id in [each.rule_id for each in client.rules.list()]
            client.rules.delete(rule)

    await asyncio.to_thread(use)
