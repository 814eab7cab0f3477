"""Rules that answer, what they would have done, and drafts of rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from askback._model.enums import member_of, word
from askback._model.rule_specs import RuleSpec
from askback._model.times import moment
from askback.v1 import policy_service_pb2 as service
from askback.v1 import rule_pb2 as pb


class RuleState(StrEnum):
    """What a rule does now. Only an ACTIVE one is applied."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    OFF = "OFF"
    EXPIRED = "EXPIRED"
    USED_UP = "USED_UP"
    DELETED = "DELETED"
    UNSPECIFIED = "UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a namespace.

    `spec`, `revision` and `author` are those of the active revision: None, 0 and empty if none has been
    active. `proposed` waits for a second person, whom the job `proposal_job_id` asks.
    """

    rule_id: str
    namespace: str
    state: RuleState
    revision: int
    spec: RuleSpec | None
    author: str
    authorised_by: str
    uses: int
    newest_revision: int
    proposed_revision: int
    proposed: RuleSpec | None
    proposed_by: str
    proposal_job_id: str
    created_at: datetime | None
    updated_at: datetime | None
    proto: pb.Rule

    @property
    def name(self) -> str:
        """The name for people: of the active revision, else of the proposed one."""
        said = self.spec or self.proposed
        return said.name if said is not None else ""

    @classmethod
    def from_proto(cls, message: pb.Rule) -> Rule:
        """The rule that a message describes."""
        return cls(
            message.rule_id,
            message.namespace,
            member_of(RuleState, pb.RuleState, "RULE_STATE_", message.state),
            message.revision,
            RuleSpec(message.spec) if message.HasField("spec") else None,
            message.author,
            message.authorised_by,
            message.uses,
            message.newest_revision,
            message.proposed_revision,
            RuleSpec(message.proposed) if message.HasField("proposed") else None,
            message.proposed_by,
            message.proposal_job_id,
            moment(message, "create_time"),
            moment(message, "update_time"),
            message,
        )


@dataclass(frozen=True, slots=True)
class RuleSample:
    """A question of the past. `people` is what people did: ACCEPT, EDIT, REJECT, REVISE, OTHER or NONE."""

    prompt_id: str
    title: str
    people: str
    by: str
    created_at: datetime | None

    @classmethod
    def from_proto(cls, message: service.RuleSample) -> RuleSample:
        """The sample that a message describes."""
        people = word(service.PeopleVerdict, "PEOPLE_VERDICT_", message.people)
        created = moment(message, "create_time")
        return cls(message.prompt_id, message.title, people, message.user_id, created)


@dataclass(frozen=True, slots=True)
class PreviewCell:
    """How many questions a rule would have decided so, and people so.

    `rule` is ANSWER, REFUSE, ASK, ROUTE, NO_MATCH or UNKNOWN, `people` as in a RuleSample.
    """

    rule: str
    people: str
    count: int
    samples: tuple[RuleSample, ...]


@dataclass(frozen=True, slots=True)
class RulePreview:
    """What a rule would have done with the last questions. Nothing was changed.

    `conflicts` are those that it would have accepted and people rejected. `findings` names what is odd:
    NEVER_MATCHES, or SHADOWED or REDUNDANT with the rules that are the reason.
    """

    cells: tuple[PreviewCell, ...]
    conflicts: tuple[RuleSample, ...]
    prompts: int
    findings: dict[str, tuple[str, ...]]
    proto: service.PreviewRuleResponse

    @classmethod
    def from_proto(cls, message: service.PreviewRuleResponse) -> RulePreview:
        """The preview that a message describes."""
        cells = (
            PreviewCell(
                word(service.RuleVerdict, "RULE_VERDICT_", each.rule),
                word(service.PeopleVerdict, "PEOPLE_VERDICT_", each.people),
                each.count,
                _samples(each.samples),
            )
            for each in message.cells
        )
        found = {word(service.RuleLint, "RULE_LINT_", f.lint): tuple(f.rules) for f in message.findings}
        return cls(tuple(cells), _samples(message.conflicts), message.prompts, found, message)


@dataclass(frozen=True, slots=True)
class RuleSuggestion:
    """A draft of a rule: give its `spec` a reason, edit it, and create it.

    People decided `support` of the questions that it covers so, and `exceptions` otherwise. `open_prompts`
    are covered too, and it would not answer them.
    """

    spec: RuleSpec
    support: int
    exceptions: int
    users: tuple[str, ...]
    samples: tuple[RuleSample, ...]
    open_prompts: int
    proto: service.RuleSuggestion

    @classmethod
    def from_proto(cls, message: service.RuleSuggestion) -> RuleSuggestion:
        """The draft that a message describes."""
        return cls(
            RuleSpec(message.spec),
            message.support,
            message.exceptions,
            tuple(message.users),
            _samples(message.samples),
            message.open_prompts,
            message,
        )


def _samples(messages: Iterable[service.RuleSample]) -> tuple[RuleSample, ...]:
    return tuple(map(RuleSample.from_proto, messages))
