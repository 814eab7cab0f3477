"""Changes rules, for callers with the role `policy`, and asks a second person where the setting says so.

A proposal is stored first. Then a job without a worker asks about it: its request id is made of rule and
revision, so that it is created once, whichever replica does it. Each replica looks at the proposals that
wait: the job's answer activates exactly that revision, or drops it. So a crash at any point only delays it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from askback_server.domain import commands as c
from askback_server.domain.answers import AnswerSource
from askback_server.domain.content import Audience, Exclusion, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import DelegationPolicy, DelegationScope
from askback_server.domain.documents import dump
from askback_server.domain.errors import AskbackError, IdReused, InvalidField, LimitExceeded, PermissionDenied
from askback_server.domain.limits import Limits
from askback_server.domain.principals import SYSTEM, Principal, Role
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.domain.rule_checks import check_spec
from askback_server.domain.rule_inputs import Expressions
from askback_server.domain.rules import Effect, RuleSpec
from askback_server.domain.stored_rules import (
    APPROVALS,
    Proposal,
    RuleChanged,
    RuleNotFound,
    StoredRule,
    approve,
    delete,
    drop_proposal,
    is_shortening,
    note_job,
    rule_body,
    shorten,
    switch_off,
    write_revision,
)
from askback_server.engine.engine import Engine
from askback_server.engine.periodic import every
from askback_server.engine.rules import INTERVAL_SECONDS, Rules
from askback_server.ports.clock import DatabaseClock, uuid7
from askback_server.ports.queries import PromptFilter
from askback_server.ports.rules import RuleDecision, RuleStore
from askback_server.ports.storage import JobStore

_log = logging.getLogger("askback.server.policy")

APPROVAL_TIMEOUT = timedelta(days=7)
"""How long a second person has to approve a revision."""
_IDS = uuid.UUID("6b1f0f8e-6a53-5f0e-9c0b-3f2f3f1f7a15")
"""Name space of the ids of rules with a request id."""
_BY_PEOPLE = (AnswerSource.HUMAN, AnswerSource.TEST, AnswerSource.OVERRIDE)


@dataclass(frozen=True, slots=True)
class RuleUpdate:
    """What a caller changes of a rule. None: it stays."""

    namespace: str
    rule_id: str
    spec: RuleSpec | None = None
    enabled: bool | None = None
    expected: int = 0
    """The newest revision that the caller has seen; 0: any."""


class Policy:
    """Rules as callers see and change them. All methods raise PermissionDenied and StorageUnavailable."""

    def __init__(
        self,
        store: RuleStore,
        jobs: JobStore,
        engine: Engine,
        rules: Rules,
        expressions: Expressions,
        clock: DatabaseClock,
        limits: Limits,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._engine = engine
        self._rules = rules
        self._expressions = expressions
        self._clock = clock
        self._limits = limits

    def now(self) -> datetime:
        """An estimate of the database's time."""
        return self._clock.now()

    async def create(
        self, principal: Principal, namespace: str, spec: RuleSpec, request_id: str, *, validate_only: bool
    ) -> StoredRule:
        """Create a rule, or return the one that the same request created. Raises InvalidField, IdReused."""
        principal.require(Role.POLICY)
        has_end, spec = spec.expires_at is not None, self._check(principal, spec)
        named = uuid.uuid5(_IDS, f"{namespace}\n{principal.subject}\n{request_id}")
        rule_id = str(named) if request_id else uuid7()

        def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
            if stored is not None:
                first = stored.proposal or stored.active
                if stored.newest == 1 and first is not None:
                    same = spec if has_end else replace(spec, expires_at=first.spec.expires_at)
                    if same != first.spec:
                        raise IdReused("request_id", request_id, rule_id=rule_id)
                return stored
            blank = StoredRule(rule_id, namespace, now, now, 0)
            return self._write(blank, spec, principal.subject, now)

        if validate_only:
            return decide(None, self._clock.now())
        known = await self._store.list_rules(namespace, self._maximum, "", include_deleted=False)
        if len(known) >= self._maximum and all(each.rule_id != rule_id for each in known):
            message = f"the namespace has {len(known)} rules; delete some"
            raise LimitExceeded(message, limit="rules_per_namespace", value=self._maximum)
        return await self._change(rule_id, namespace, decide)

    @property
    def _maximum(self) -> int:
        return self._limits.rules_per_namespace

    def _check(self, principal: Principal, spec: RuleSpec) -> RuleSpec:
        if spec.effect in (Effect.ANSWER, Effect.REFUSE) and not principal.has(Role.CONSOLE):
            message = (
                "a rule answers in your name, and you may not answer prompts: it needs the role console too"
            )
            raise PermissionDenied(message, needs=Role.CONSOLE)
        return check_spec(spec, self._expressions, self._limits, self._clock.now())

    def _write(self, rule: StoredRule, spec: RuleSpec, author: str, now: datetime) -> StoredRule:
        needs_approval = bool(self._limits.rule_approvers_of(rule.namespace))
        return write_revision(rule, spec, author, now, needs_approval=needs_approval)

    async def update(self, principal: Principal, update: RuleUpdate) -> StoredRule:
        """Change a rule. Raises InvalidField, RuleNotFound, RuleChanged."""
        principal.require(Role.POLICY)
        if update.spec is not None and update.enabled is False:
            raise InvalidField.of("enabled", "must not be false with a spec: a new revision is on")
        spec = None if update.spec is None else self._check(principal, update.spec)

        def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
            rule = _existing(stored, update.rule_id)
            if update.expected and update.expected != rule.newest:
                raise RuleChanged(rule.rule_id, update.expected, rule.newest)
            is_on = rule.active is not None and rule.active.enabled
            if spec is not None and is_on and is_shortening(rule, spec):
                rule = shorten(rule, spec, now)
            elif spec is not None:
                return self._write(rule, spec, principal.subject, now)
            elif update.enabled and not is_on and rule.active is not None:
                same = self._check(principal, rule.active.spec)
                return self._write(rule, same, principal.subject, now)
            return switch_off(rule, now) if update.enabled is False else rule

        return await self._change(update.rule_id, update.namespace, decide)

    async def delete(self, principal: Principal, namespace: str, rule_id: str) -> None:
        """Delete a rule. Raises RuleNotFound."""
        principal.require(Role.POLICY)

        def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
            if stored is None:
                raise RuleNotFound(rule_id)
            return stored if stored.deleted_at is not None else delete(stored, now)

        await self._change(rule_id, namespace, decide)

    async def list_rules(
        self, principal: Principal, namespace: str, limit: int, after: str, *, include_deleted: bool
    ) -> Sequence[StoredRule]:
        """Rules by id."""
        principal.require(Role.POLICY)
        return await self._store.list_rules(namespace, limit, after, include_deleted=include_deleted)

    async def _change(self, rule_id: str, namespace: str, decide: RuleDecision) -> StoredRule:
        before: StoredRule | None = None

        def deciding(stored: StoredRule | None, now: datetime) -> StoredRule:
            nonlocal before
            before = stored
            return decide(stored, now)

        rule = await self._store.change(rule_id, namespace, deciding)
        if before is not None and before.proposal is not None and before.proposal != rule.proposal:
            await self._withdraw(before.proposal)
        if rule.proposal is not None and not rule.proposal.job_id:
            rule = await self._ask(rule, rule.proposal)
        await self._rules.load()
        return rule

    async def _withdraw(self, proposal: Proposal) -> None:
        """End the job that asks about a proposal which does not wait any more: its answer changes nothing.

        If this fails, the prompt stays until its deadline."""
        if not proposal.job_id:
            return
        try:
            reason = "another revision was proposed, or the rule was switched off or deleted"
            await self._engine.execute(c.CancelJob(principal=SYSTEM, job_id=proposal.job_id, reason=reason))
        except AskbackError as error:
            _log.warning("the job %s that asks about a rule was not cancelled: %s", proposal.job_id, error)

    async def _ask(self, rule: StoredRule, proposal: Proposal) -> StoredRule:
        """Create the job that asks about a proposal, and note it. Both may be done again.

        Without the setting here, for example while it is being rolled out, another replica asks: a prompt for
        no group is for everyone."""
        approvers = self._limits.rule_approvers_of(rule.namespace)
        if not approvers:
            return rule
        content = PromptContent(
            kind="confirm",
            title=f"Activate the rule {' '.join(proposal.spec.name.split())}?"[:300],
            body=rule_body(proposal.spec),
            audience=Audience(groups=frozenset({approvers})),
            exclusion=Exclusion(users=frozenset({proposal.author})),
            delegation_policy=DelegationPolicy(DelegationScope.AUDIENCE),
            metadata_json=dump({"rule_id": rule.rule_id, "revision": proposal.revision}),
            timeout=APPROVAL_TIMEOUT,
        )
        command = c.CreateJob(
            principal=SYSTEM,
            namespace=rule.namespace,
            job_type=APPROVALS,
            request_id=f"{APPROVALS}:{rule.rule_id}@{proposal.revision}",
            user_id=proposal.author,
            prompt=content,
        )
        job = (await self._engine.execute(command)).job

        def note(stored: StoredRule | None, _: datetime) -> StoredRule:
            if stored is None:
                raise RuleNotFound(rule.rule_id)
            return note_job(stored, proposal.revision, job.job_id)

        noted = await self._store.change(rule.rule_id, rule.namespace, note)
        if noted.proposal is None or noted.proposal.job_id != job.job_id:
            await self._withdraw(replace(proposal, job_id=job.job_id))  # changed while the job was created
        return noted

    async def settle(self) -> None:
        """Activate or drop the proposals that were decided. An error of one does not stop the others."""
        for rule in self._rules.proposals:
            assert rule.proposal is not None
            try:
                if await self._settle_one(rule, rule.proposal):
                    await self._rules.load()
            except AskbackError as error:
                _log.warning("the proposal %s of a rule could not be settled: %s", rule.rule_id, error)

    async def _settle_one(self, rule: StoredRule, proposal: Proposal) -> bool:
        if not proposal.job_id:
            await self._ask(rule, proposal)
            return True
        of_job = PromptFilter(rule.namespace, job_id=proposal.job_id, states=tuple(PromptState))
        prompts = (await self._jobs.list_prompts(of_job, 1, None, 1 << 20)).prompts
        if prompts and prompts[0].is_open:
            return False
        approver = _approver(prompts[0], proposal.author) if prompts else ""

        def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
            found = _existing(stored, rule.rule_id)
            if approver:
                return approve(found, proposal.revision, approver, now)
            return drop_proposal(found, proposal.revision, now)

        await self._store.change(rule.rule_id, rule.namespace, decide)
        return True

    async def run(self) -> None:
        """Settle again and again until cancelled. Errors are logged."""
        await every(INTERVAL_SECONDS, self.settle, "policy")


def _approver(prompt: Prompt, author: str) -> str:
    """Who has approved a revision; empty if another person than its author did not accept it."""
    answer = prompt.resolution.answer if prompt.resolution is not None else None
    if answer is None or answer.decision is not Decision.ACCEPT or answer.source not in _BY_PEOPLE:
        return ""
    return answer.user_id if answer.user_id != author else ""


def _existing(stored: StoredRule | None, rule_id: str) -> StoredRule:
    if stored is None or stored.deleted_at is not None:
        raise RuleNotFound(rule_id)
    return stored
