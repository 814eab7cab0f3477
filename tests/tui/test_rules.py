"""The full-screen console: a rule is made of an answer and deleted again; what rules did is named."""

from __future__ import annotations

from typing import Any

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import policy_service_pb2 as pb
from askback.v1 import prompt_pb2, rule_pb2
from tests.tui.world import World, at, closed, known_as, up

RUN = {"title": "Run ls?", "labels": {"tool": "ls"}}
SPEC = rule_pb2.RuleSpec(
    name="ACCEPT confirm of refund",
    reason="suggested",
    match=rule_pb2.RuleMatch(
        kinds=["confirm"], labels={"tool": "ls"}, expression='metadata["path"] == "/srv"'
    ),
    answer=rule_pb2.RuleAnswer(decision=prompt_pb2.DECISION_ACCEPT),
)
PIA = known_as("pia", roles=("console", "policy"))


class Policies:
    """The server's side of the calls about rules: one draft, and the rules that were created."""

    def __init__(self, world: World, state: rule_pb2.RuleState) -> None:
        self.created: list[rule_pb2.RuleSpec] = []
        self.deleted: list[str] = []
        self._state = state
        world.server.unary |= {
            "SuggestRules": self._suggest,
            "CreateRule": self._create,
            "DeleteRule": self._delete,
        }

    async def _suggest(self, request: pb.SuggestRulesRequest, context: Any) -> pb.SuggestRulesResponse:
        assert request.prompt_id == "p1"
        draft = pb.RuleSuggestion(spec=SPEC, support=4, exceptions=1, users=["ana", "pia"], open_prompts=2)
        return pb.SuggestRulesResponse(suggestions=[draft])

    async def _create(self, request: pb.CreateRuleRequest, context: Any) -> pb.CreateRuleResponse:
        if not request.validate_only:
            self.created.append(request.spec)
        rule = rule_pb2.Rule(rule_id="r-1", state=self._state)
        said = rule.proposed if self._state == rule_pb2.RULE_STATE_PROPOSED else rule.spec
        said.CopyFrom(request.spec)
        said.expire_time.CopyFrom(at(30 * 86_400))
        return pb.CreateRuleResponse(rule=rule)

    async def _delete(self, request: pb.DeleteRuleRequest, context: Any) -> pb.DeleteRuleResponse:
        self.deleted.append(request.rule_id)
        return pb.DeleteRuleResponse()


async def test_a_key_makes_a_rule_of_an_answer_and_deletes_it(world: World) -> None:
    policies = Policies(world, rule_pb2.RULE_STATE_ACTIVE)
    async with world.open(up("p1", 1, content=RUN), person=PIA, size=(100, 40)):
        await world.press("a")
        await world.enter("y")
        frame, _ = await world.answer_frame()
        await world.reply(frame, "ACCEPTED")
        world.events(closed("p1", user="pia"))
        await world.until(lambda: "! always" in world.text)
        assert "always so? `!` makes a rule of it" in world.text
        await world.press("!")
        await world.until(lambda: world.question.startswith("Why always so?"))
        await world.assert_screen("always")
        await world.enter("it only reads")
        await world.enter("10")
        await world.until(lambda: "to undo: `!` again, or askback rules delete r-1" in world.text)
        [created] = policies.created
        expected = rule_pb2.RuleSpec(reason="it only reads", max_uses=10)
        assert (created.reason, created.max_uses) == (expected.reason, expected.max_uses)
        for each in (created, expected):
            each.ClearField("reason")
        assert (created.match, created.answer) == (SPEC.match, SPEC.answer)
        await world.press("!")
        await world.enter("n")
        assert policies.deleted == []
        await world.press("!")
        await world.enter("y")
        await world.until(lambda: "rule r-1 is deleted" in world.text)
        assert policies.deleted == ["r-1"]


async def test_a_rule_that_waits_for_a_second_person_says_so(world: World) -> None:
    policies = Policies(world, rule_pb2.RULE_STATE_PROPOSED)
    async with world.open(up("p1", 1, content=RUN), person=PIA, size=(100, 40)):
        world.events(closed("p1"))
        await world.until(lambda: "! always" in world.text)
        await world.press("!")
        await world.until(lambda: "a second person must accept it" in world.text)
        await world.enter("")
        await world.until(lambda: "no rule was made" in world.text)
        assert policies.created == []
        await world.press("!")
        await world.enter("it only reads")
        await world.enter("")
        await world.until(lambda: "rule r-1 waits for a second person" in world.text)


async def test_a_person_without_the_role_is_told(world: World) -> None:
    async with world.open(up("p1", 1, content=RUN), person=known_as("ana"), size=(100, 40)):
        world.events(closed("p1"))
        await world.until(lambda: "it has ended" in world.text or "+ answered by bob" in world.text)
        assert "! always" not in world.text
        await world.press("!")
        await world.until(lambda: "you may not make rules: that needs the role policy" in world.text)


async def test_routes_and_votes_of_rules_are_named(world: World) -> None:
    approval = prompt_pb2.Approval(required=2, rules_may_fill=1)
    vote = prompt_pb2.Vote(
        answer_id="v",
        user_id="pia",
        decision=prompt_pb2.DECISION_ACCEPT,
        outcome="o",
        rule_id="r-1",
        rule_revision=3,
    )
    count = prompt_pb2.VoteCount(outcome="o", decision=prompt_pb2.DECISION_ACCEPT, votes=1, required=2)
    asked = up("p1", 1, content={**RUN, "approval": approval}, routed=True, votes=[vote], vote_counts=[count])
    async with world.open(asked, person=known_as("ana"), size=(120, 40)):
        for words in [
            "routed      by rules;",
            "2 people must approve; rules may give 1 of them",
            "1 of 2 approve: pia (by rule); 1 more needed",
            "- pia (rule r-1@3) approves",
        ]:
            assert words in world.text, words
        end = hitl.PromptClosed(prompt_id="p1", job_id="job-p1", version=2, answer_id="a")
        end.resolution.state = prompt_pb2.PROMPT_STATE_ANSWERED
        end.resolution.answer.user_id = "pia"
        end.resolution.answer.source = prompt_pb2.ANSWER_SOURCE_RULE
        end.resolution.answer.rule_id, end.resolution.answer.rule_revision = "r-1", 3
        end.resolution.answer.decision = prompt_pb2.DECISION_ACCEPT
        world.events(hitl.PromptEvent(closed=end))
        await world.until(lambda: "answered by pia (rule r-1@3): ACCEPT" in world.text)
