"""A preview over a replayed history equals what the engine did when the prompts were asked, row by row."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.commands import PromptRef
from askback_server.domain.decisions import Decision
from askback_server.domain.events import EventType
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.rule_inputs import Inputs
from askback_server.domain.rule_preview import Did, Lint, Linter, Would, did, stored_inputs, would
from askback_server.domain.rule_suggestions import cel_literal, equality, propose_for, suggest
from askback_server.domain.rules import Effect, GivenAnswer, Match, Route, RuleSpec
from askback_server.engine.rule_history import RuleHistory
from askback_server.expressions import Cel
from tests.contract.test_rule_guards import save, see
from tests.support.aggregates import BOB, question, running
from tests.support.rows import now
from tests.support.rules import CEL, compiled, rule
from tests.support.rules import question as normalised
from tests.support.storage import Node, check_job

PIA = Principal("pia", frozenset({Role.POLICY}))
EXPRESSIONS = (
    "metadata.n > 2",
    "metadata.tool == 'ls'",
    "prompt.priority > 0",
    "prompt.labels.env == 'test' || metadata.n < 2",
    "!has(metadata.tool)",
    "prompt.title == 'a' && !('b' in prompt.labels)",
)
EFFECTS: tuple[tuple[Effect, dict[str, Any]], ...] = (
    (Effect.ANSWER, {"answer": GivenAnswer(Decision.ACCEPT)}),
    (Effect.ASK, {}),
    (Effect.REFUSE, {}),
    (Effect.ROUTE, {"route": Route(priority=5)}),
)


def some_rule(random: random.Random) -> RuleSpec:
    effect, fields = random.choice(EFFECTS)
    unless = random.choice(("", "", random.choice(EXPRESSIONS)))
    return rule(
        effect=effect,
        when=random.choice(EXPRESSIONS),
        unless=unless,
        expires_at=now() + timedelta(days=1),
        **fields,
    ).spec


def some_question(random: random.Random) -> dict[str, Any]:
    metadata = {"n": random.randrange(5), "tool": random.choice(["ls", "rm"])}
    for name in list(metadata):
        if random.random() < 0.3:
            del metadata[name]
    return {
        "title": random.choice("ab"),
        "metadata_json": random.choice(["", json.dumps(metadata), json.dumps(metadata)]),
        "labels": random.choice([{}, {"env": "test"}, {"b": ""}]),
        "priority": random.randrange(2),
    }


@pytest.mark.parametrize("seed", range(3))
async def test_a_preview_equals_what_the_engine_did(here: Node, seed: int) -> None:
    chance = random.Random(seed)
    await see(here)
    stored = [await save(here, spec=some_rule(chance)) for _ in range(4)]
    prompts: list[Prompt] = []
    for _ in range(25):
        job = await here.lease_new_job()
        prompts.append(await here.ask(job, "a", question(**some_question(chance))))
        if prompts[-1].is_open and chance.random() < 0.3:
            await here.answer(prompts[-1], principal=BOB)
    for each in stored:
        assert each.active is not None
        draft, limits = compiled(each.active), Limits()
        for asked in prompts:
            [found] = await here.database.jobs.get_prompts([asked.prompt_id])
            _, events = await check_job(here.database, asked.job_id)
            data = next((e.data for e in events if e.type is EventType.PROMPT_RULED), None) or {}
            verdict = would(draft, found, limits)
            if verdict is Would.UNKNOWN:
                assert found.asked_digest  # a route has changed what it reads
                continue
            matched = each.active.ref in data.get("matched", ())
            failed = each.active.ref in data.get("errors", ())
            if failed:
                assert verdict is (Would.NO_MATCH if each.active.spec.effect is Effect.ANSWER else Would.ASK)
            else:
                assert (verdict is not Would.NO_MATCH) == matched


async def test_pages_of_a_long_history_are_read_to_the_asked_number(here: Node) -> None:
    await see(here)
    for number in range(12):
        _, prompt = await here.waiting(question(metadata_json=f'{{"n":{number}}}'))
        if number % 2:
            await here.answer(prompt, principal=BOB)
    history = RuleHistory(here.database.jobs, here.rules, Cel(), here.clock, Limits())
    spec = rule(when="metadata.n >= 0", expires_at=now() + timedelta(days=1)).spec
    found = await history.preview(PIA, "default", spec, 8)
    assert found.read == 8
    assert found.cells[Would.ANSWER, Did.NONE].count == 6
    assert found.cells[Would.ANSWER, Did.ACCEPT].count == 2
    assert (await history.preview(PIA, "default", spec, 0)).read == 12


async def test_what_an_escalation_or_a_route_has_changed_is_unknown(here: Node) -> None:
    await save(here, effect=Effect.ROUTE, route=Route(priority=5))
    job = await here.lease_new_job()
    asked = await here.ask(job)
    [prompt] = await here.database.jobs.get_prompts([asked.prompt_id])
    limits = Limits()
    assert would(compiled(rule(when="prompt.priority > 3")), prompt, limits) is Would.UNKNOWN
    assert would(compiled(rule(when="prompt.kind == 'confirm'")), prompt, limits) is Would.ANSWER
    assert did(prompt) is Did.NONE
    assert (await here.database.jobs.find_prompt(PromptRef(asked.prompt_id))) == prompt


VALUES: Sequence[Any] = (
    "a\"b\\c\n\u00e9\U0001f600'",
    0,
    -(2**63),
    2**64 - 1,
    1.5,
    1e300,
    True,
    False,
    None,
    [1, "a", [None]],
    {"k": [1.0], "e": {}},
    [],
    {},
)


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_literal_equals_its_value_and_no_other(value: Any) -> None:
    for other in VALUES:
        when = CEL.compile(equality({"v": value}))
        wanted = type(value) is type(other) and value == other
        values = {"metadata": {"v": other}}
        assert when(values) is wanted, (value, other, cel_literal(value))


async def test_always_for_this_needs_every_field_of_the_metadata(here: Node) -> None:
    limits = Limits()
    nested = '{"tool":"run","args":["rm","-rf"],"env":{"A":"1"}}'
    _, prompt = await here.waiting(question(metadata_json=nested))
    prompt = (await here.answer(prompt, principal=BOB)).prompt
    when = CEL.compile(propose_for(prompt, limits).match.expression)
    for text, matches in (
        (nested, True),
        ('{"env":{"A":"1"},"args":["rm","-rf"],"tool":"run"}', True),
        ('{"tool":"run","args":["rm"],"env":{"A":"1"}}', False),
        ('{"tool":"run","args":["rm","-rf"],"env":{"A":1}}', False),
        ('{"tool":"run","args":["rm","-rf"],"env":{"A":"1"},"sudo":true}', False),
    ):
        assert when({"metadata": json.loads(text)}) is matches, text
    _, plain = await here.waiting(question("Deploy to production?"))
    plain = (await here.answer(plain, principal=BOB)).prompt
    assert "Deploy to production?" in propose_for(plain, limits).match.expression
    assert suggest([plain, prompt], 2, limits) == []


def test_a_rule_that_another_one_covers_is_redundant() -> None:
    content = normalised(metadata_json='{"n":1}')
    linter = Linter(compiled(rule("r1", when="metadata.n == 1")), [compiled(rule("r2"))])
    linter.add(_prompt(content), Limits())
    assert [(f.lint, f.rules) for f in linter.findings()] == [(Lint.REDUNDANT, ("r2@1",))]
    wider = Linter(compiled(rule("r1", match=Match(kinds=frozenset({"none"})))), [])
    wider.add(_prompt(content), Limits())
    assert [f.lint for f in wider.findings()] == [Lint.NEVER_MATCHES]


def _prompt(content: Any) -> Prompt:
    return running().ask(content=content).prompt


def test_the_metadata_of_a_prompt_is_read_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[str]()

    def read(prompt: Prompt, limits: Limits) -> Inputs:
        reads.append(prompt.prompt_id)
        return stored_inputs(prompt, limits)

    monkeypatch.setattr("askback_server.domain.rule_preview.stored_inputs", read)
    prompt = running().ask(content=question(metadata_json='{"n":3}')).prompt
    rules = [compiled(rule(f"r{i}", when="metadata.n > 2")) for i in range(9)]
    Linter(rules[0], rules).add(prompt, Limits())
    assert len(reads) == 1


def test_fields_with_equal_values_make_one_draft_from_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each field was looked at apart: 1,000 prompts with 1,000 equal fields took a billion steps.
    literals = list[object]()

    def literal(value: Any) -> str:
        literals.append(value)
        return cel_literal(value)

    monkeypatch.setattr("askback_server.domain.rule_suggestions.cel_literal", literal)
    metadata = json.dumps({f"f{i:02}": i for i in range(60)})
    prompts = []
    for i in range(10):
        world = running()
        world.ask(content=question(metadata_json=metadata))
        world.answer()
        prompts.append(replace(world.prompt(), prompt_id=f"p{i}"))
    [found] = suggest(prompts, 2, Limits())
    assert found.support == 10
    assert found.spec.match.expression.count("metadata[") == 60
    assert len(literals) < 60 * 10 * 6
