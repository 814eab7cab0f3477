"""Random delegations, absences, votes, reroutings and rules of one prompt: the invariants of `JobWorld.do`
always hold.

All pairs of these features meet here: approval, exclusion, escalation, claims, amendments, absences, rules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.absences import Absence, Absences
from askback_server.domain.answers import AnswerSource
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import DelegationMode, DelegationPolicy, DelegationScope
from askback_server.domain.errors import AskbackError
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult
from askback_server.domain.rules import NO_RULES, Effect, Route, RuleBook, Standing
from tests.support import rules as some
from tests.support.aggregates import CLIENT, START, WORKER, JobWorld, running

NAMES = ("ann", "bob", "cid", "dan", "eve")
GROUPS = {"ann": {"law"}, "bob": {"law", "ops"}, "cid": {"ops"}, "dan": set[str](), "eve": {"law"}}
PEOPLE = {name: Principal(name, frozenset({Role.CONSOLE}), groups=frozenset(GROUPS[name])) for name in NAMES}
SECOND = timedelta(seconds=1)


def named(*users: str, groups: tuple[str, ...] = ()) -> Audience:
    return Audience(frozenset(users), frozenset(groups))


AUDIENCES = [
    Audience(),
    named("ann"),
    named("ann", "bob"),
    named(groups=("law",)),
    named("dan", groups=("ops",)),
]
STEPS = (
    EscalationStep(2 * SECOND, named("cid"), raise_priority=1),
    EscalationStep(5 * SECOND, named("dan", "eve"), replace=True),
    EscalationStep(9 * SECOND, Audience(), replace=True),
)
APPROVALS = [
    None,
    None,
    Approval(2, (), 1),
    Approval(2, (GroupApproval("law", 1),), 2),
    Approval(2, (), 1, rules_may_fill=1),
]
RULES = [
    some.rule("by-ann"),
    some.rule("by-cid", author="cid"),
    some.rule("by-dan", author="dan"),
    some.rule("no", Effect.REFUSE, author="bob"),
    some.rule("ask", Effect.ASK, author="eve"),
    some.rule("to-ann", Effect.ROUTE, route=Route(named("ann"))),
    some.rule("two", Effect.ROUTE, route=Route(approval=Approval(2, (GroupApproval("law", 1),)))),
    some.rule("soon", Effect.ROUTE, route=Route(priority=5, timeout=6 * SECOND)),
]
STANDINGS = {name: Standing(START, True, frozenset(groups)) for name, groups in GROUPS.items()}
EXCLUSIONS = [
    None,
    None,
    Exclusion(users=frozenset({"bob"})),
    Exclusion(requester=True, groups=frozenset({"ops"})),
    Exclusion(answerers_of=("first",)),
]
POLICIES = [
    None,
    None,
    DelegationPolicy(DelegationScope.AUDIENCE),
    DelegationPolicy(DelegationScope.LISTED, frozenset({"cid", "dan"}), frozenset({"ops"})),
    DelegationPolicy(DelegationScope.NO_ONE),
]


@st.composite
def contents(draw: st.DrawFn) -> PromptContent:
    return PromptContent(
        kind="confirm",
        title=draw(st.sampled_from(["Pay?", "Pay now?"])),
        blocking=True,
        audience=draw(st.sampled_from(AUDIENCES)),
        approval=draw(st.sampled_from(APPROVALS)),
        exclusion=draw(st.sampled_from(EXCLUSIONS)),
        escalation=STEPS[: draw(st.integers(0, 3))],
        timeout=draw(st.sampled_from([None, 20 * SECOND])),
        delegation_policy=draw(st.sampled_from(POLICIES)),
    )


class OnePrompt(RuleBasedStateMachine):
    """JobWorld checks the invariants of the rules; this class knows who was ever allowed to act."""

    def __init__(self) -> None:
        super().__init__()
        self.world = JobWorld()
        self.answers = 0

    @initialize(data=st.data())
    def ask(self, data: Any) -> None:
        self.world = running(principal=Principal("eve", frozenset({Role.CLIENT})))
        self.world.limits = Limits()
        self.world.ask("first", PromptContent(kind="confirm", title="First?", blocking=True))
        self.draw_absences(data)
        self.draw_rules(data)
        self.asks(data, 1)

    @property
    def job_id(self) -> str:
        return self.world.job.job_id

    def ref(self, key: str = "a") -> PromptRef:
        return PromptRef(job_id=self.job_id, key=key)

    def send(self, command: c.Command) -> Any:
        try:
            return self.world.do(command)
        except AskbackError as refused:
            return refused

    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        if self.world.aggregate.find(self.ref()) is None or self.world.job.is_terminal:
            return
        acts = [self.delegates, self.delegates, self.delegates, self.returns, self.answers_or_votes]
        acts += [self.time_passes, self.is_rerouted, self.is_amended, self.is_claimed, self.absences_change]
        data.draw(st.sampled_from(acts))(data)

    def person(self, data: Any) -> Principal:
        """Mostly one who may act."""
        content = self.world.prompt().content
        able = [p for p in PEOPLE.values() if content.right_of(p.subject, p.groups) is not None]
        if able and data.draw(st.sampled_from([True, True, True, False])):
            return data.draw(st.sampled_from(able))  # type: ignore[no-any-return]
        return data.draw(st.sampled_from(list(PEOPLE.values())))  # type: ignore[no-any-return]

    def delegates(self, data: Any) -> None:
        who, mode = self.person(data), data.draw(st.sampled_from(DelegationMode))
        user = data.draw(st.sampled_from([*NAMES, *NAMES, ""]))
        group = "" if user else data.draw(st.sampled_from(["law", "ops"]))
        before = self.world.prompt()
        reply = self.send(
            r.DelegatePrompt(principal=who, ref=self.ref(), user=user, group=group, mode=mode, comment="so")
        )
        if isinstance(reply, AskbackError) or self.world.change is None:
            return
        given = before.content.right_of(who.subject, who.groups)
        assert given is not None
        if mode is DelegationMode.TRANSFER and reply.is_open:
            left = reply.content.right_of(who.subject, who.groups)  # it may stand in for another person
            assert left is None or left.holder != given.holder
        if user and reply.is_open:
            assert reply.content.right_of(user, frozenset()) is not None

    def returns(self, data: Any) -> None:
        given = self.world.prompt().content.delegations
        targets = [("", "")]
        if given is not None:
            targets += [(each.user, each.group) for each in given.active]
        user, group = data.draw(st.sampled_from(targets))
        self.send(r.ReturnPrompt(principal=self.person(data), ref=self.ref(), user=user, group=group))

    def answers_or_votes(self, data: Any) -> None:
        who, prompt = self.person(data), self.world.prompt()
        if data.draw(st.sampled_from([False, False, False, True])) and prompt.votes is not None:
            vote = prompt.votes.of(who.subject)
            answer_id = vote.answer.answer_id if vote is not None else "none"
            self.send(v.WithdrawAnswer(principal=who, ref=self.ref(), answer_id=answer_id))
            return
        self.answers += 1
        key = data.draw(st.sampled_from(["a", "a", "a", "first"]))
        reply = self.send(
            c.AnswerPrompt(
                principal=who,
                ref=self.ref(key),
                answer_id=f"x{self.answers}",
                revision=self.world.prompt(key).revision,
                decision=data.draw(st.sampled_from([Decision.ACCEPT, Decision.ACCEPT, Decision.REJECT])),
                comment="because",
            )
        )
        if key == "a" and isinstance(reply, AnswerResult) and str(reply.status) in ("ACCEPTED", "RECORDED"):
            right = prompt.content.right_of(who.subject, who.groups)
            assert right is not None or self.world.now >= (prompt.due_at or self.world.now)
            if right is not None and right.delegation is not None and len(self.world.events()) == 1:
                assert self.world.submissions()[-1].answer.on_behalf_of == right.holder

    def time_passes(self, data: Any) -> None:
        self.world.tick(data.draw(st.sampled_from([SECOND / 2, 2 * SECOND, 4 * SECOND])))
        if data.draw(st.sampled_from([True, True, False])):
            self.send(c.RunDue(job_id=self.job_id))
            for prompt in self.world.aggregate.open:
                assert prompt.due_at is None or prompt.due_at > self.world.now

    def is_rerouted(self, data: Any) -> None:
        self.send(
            r.ReroutePrompt(
                principal=CLIENT,
                ref=self.ref(),
                audience=data.draw(st.sampled_from([None, *AUDIENCES])),
                priority=data.draw(st.sampled_from([None, 3])),
                timeout=data.draw(st.sampled_from([None, 30 * SECOND])),
                escalation=data.draw(st.sampled_from([None, (), STEPS[:2]])),
            )
        )

    def is_amended(self, data: Any) -> None:
        self.draw_rules(data)
        self.asks(data, self.world.job.token)

    def draw_rules(self, data: Any) -> None:
        drawn = data.draw(st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.rule_id, max_size=3))
        on = data.draw(st.sampled_from([False, False, True])) and drawn
        self.world.rules = RuleBook({"default": some.rule_set(*drawn, **STANDINGS)}) if on else NO_RULES

    def asks(self, data: Any, token: int) -> None:
        """A rule answers by a right of its author's own, whether the author is away or not."""
        content = data.draw(contents())
        reply = self.send(
            c.AskPrompt(principal=WORKER, job_id=self.job_id, token=token, key="a", content=content)
        )
        if isinstance(reply, AskbackError) or self.world.change is None:
            return
        asked = self.world.prompt().content
        for submission in self.world.change.submissions:
            answer = submission.answer
            if answer.source is AnswerSource.RULE:
                right = asked.right_of(answer.user_id, frozenset(GROUPS[answer.user_id]))
                assert right is not None
                assert right.delegation is None
                assert not answer.on_behalf_of
                assert not asked.excludes_author(answer.user_id)
                assert answer.rule in {rule.rule.ref for rule in self.world.rules.of("default").rules}  # type: ignore[union-attr]

    def is_claimed(self, data: Any) -> None:
        what = data.draw(st.sampled_from([c.ClaimPrompt, c.ClaimPrompt, c.ReleasePrompt]))
        fields = {"duration": 3 * SECOND} if what is c.ClaimPrompt else {}
        self.send(what(principal=self.person(data), ref=self.ref(), **fields))

    def absences_change(self, data: Any) -> None:
        self.draw_absences(data)
        if data.draw(st.sampled_from([True, True, False])):
            self.send(r.ReviewAbsences(job_id=self.job_id))

    def draw_absences(self, data: Any) -> None:
        away = data.draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
        found = []
        for name in away:
            substitute = data.draw(st.sampled_from(["", *NAMES]))
            spans = [(-SECOND, 3 * SECOND), (SECOND, 6 * SECOND), (-SECOND, 60 * SECOND)]
            begin, end = data.draw(st.sampled_from(spans))
            now = self.world.now
            found.append(Absence(f"abs-{name}", "default", name, now + begin, now + end, substitute))
        self.world.absences = Absences.of(found)

    @invariant()
    def a_person_without_a_right_does_not_see_it(self) -> None:
        prompt = self.world.aggregate.find(self.ref()) if self.world.aggregate.job else None
        if prompt is None:
            return
        for person in PEOPLE.values():
            right = prompt.content.right_of(person.subject, person.groups)
            assert prompt.is_for(person) == (right is not None)


TestOnePrompt = OnePrompt.TestCase
TestOnePrompt.settings = settings(
    max_examples=2 * settings.default.max_examples // 5,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
