"""Askback: jobs that can stop and ask a human.

    Client                start, follow and change jobs, ask people without a worker, answer prompts
    Run                   the handle of one job
    Worker, Job           run jobs that ask people
    Verdict               the result of a question; true only for ACCEPT and EDIT
    Console               a live view of open prompts, for a person or a program that answers
    AskbackError          the base of all errors (see askback.errors)

Names are imported on first use: `import askback` loads neither grpc nor pydantic.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; typing's own would cost more than all else here
if TYPE_CHECKING:
    from askback._client.client import Client as Client
    from askback._client.prompt_calls import PromptPage as PromptPage
    from askback._client.run import Run as Run
    from askback._client.verdict import Verdict as Verdict
    from askback._console.console import Console as Console
    from askback._console.console_prompt import ConsolePrompt as ConsolePrompt
    from askback._console.console_view import CaughtUp as CaughtUp
    from askback._console.console_view import Closing as Closing
    from askback._model.absences import Absence as Absence
    from askback._model.approvals import Approval as Approval
    from askback._model.approvals import Shortfall as Shortfall
    from askback._model.approvals import Vote as Vote
    from askback._model.approvals import VoteCount as VoteCount
    from askback._model.delegations import Delegation as Delegation
    from askback._model.delegations import DelegationPolicy as DelegationPolicy
    from askback._model.enums import AnswerSource as AnswerSource
    from askback._model.enums import AnswerStatus as AnswerStatus
    from askback._model.enums import Authentication as Authentication
    from askback._model.enums import DecisionKind as DecisionKind
    from askback._model.enums import DelegationCause as DelegationCause
    from askback._model.enums import DelegationScope as DelegationScope
    from askback._model.enums import FinalAction as FinalAction
    from askback._model.enums import JobState as JobState
    from askback._model.enums import Keep as Keep
    from askback._model.enums import MembershipSource as MembershipSource
    from askback._model.enums import PromptOrder as PromptOrder
    from askback._model.enums import PromptState as PromptState
    from askback._model.escalation import After as After
    from askback._model.escalation import Exclude as Exclude
    from askback._model.escalation import Remind as Remind
    from askback._model.identity import Identity as Identity
    from askback._model.inbox_order import inbox_order as inbox_order
    from askback._model.jobs import Event as Event
    from askback._model.jobs import JobChange as JobChange
    from askback._model.jobs import JobInfo as JobInfo
    from askback._model.nonretryable import DuplicateKey as DuplicateKey
    from askback._model.nonretryable import InvalidAnswer as InvalidAnswer
    from askback._model.nonretryable import InvalidKey as InvalidKey
    from askback._model.nonretryable import InvalidStep as InvalidStep
    from askback._model.nonretryable import InvalidTime as InvalidTime
    from askback._model.nonretryable import InvalidValue as InvalidValue
    from askback._model.nonretryable import NonRetryable as NonRetryable
    from askback._model.options import Option as Option
    from askback._model.overview import Activity as Activity
    from askback._model.overview import ActivityCounts as ActivityCounts
    from askback._model.overview import ConnectedStreams as ConnectedStreams
    from askback._model.overview import Overview as Overview
    from askback._model.overview import Waiting as Waiting
    from askback._model.overview import WaitingPrompt as WaitingPrompt
    from askback._model.people import Group as Group
    from askback._model.people import Membership as Membership
    from askback._model.people import Person as Person
    from askback._model.prompts import AnswerOutcome as AnswerOutcome
    from askback._model.prompts import Content as Content
    from askback._model.prompts import PromptInfo as PromptInfo
    from askback._model.receipt_keys import verify_receipt as verify_receipt
    from askback._model.receipts import InvalidReceipt as InvalidReceipt
    from askback._model.receipts import Receipt as Receipt
    from askback._model.resolutions import AnswerInfo as AnswerInfo
    from askback._model.resolutions import Resolution as Resolution
    from askback._model.rule_specs import RuleSpec as RuleSpec
    from askback._model.rules import PreviewCell as PreviewCell
    from askback._model.rules import Rule as Rule
    from askback._model.rules import RulePreview as RulePreview
    from askback._model.rules import RuleSample as RuleSample
    from askback._model.rules import RuleState as RuleState
    from askback._model.rules import RuleSuggestion as RuleSuggestion
    from askback._model.understanding import Understanding as Understanding
    from askback._wire.batch import BatchResult as BatchResult
    from askback._wire.channel import Tls as Tls
    from askback._wire.receipt_errors import AuditFailed as AuditFailed
    from askback._wire.receipt_errors import ReceiptUnavailable as ReceiptUnavailable
    from askback._worker.job import Job as Job
    from askback._worker.worker import Worker as Worker
    from askback.errors import Aborted as Aborted
    from askback.errors import AlreadyExists as AlreadyExists
    from askback.errors import AnswerInvalid as AnswerInvalid
    from askback.errors import AskbackError as AskbackError
    from askback.errors import CannotConnect as CannotConnect
    from askback.errors import DeadlineExceeded as DeadlineExceeded
    from askback.errors import DelegationRefused as DelegationRefused
    from askback.errors import FailedPrecondition as FailedPrecondition
    from askback.errors import Internal as Internal
    from askback.errors import InvalidArgument as InvalidArgument
    from askback.errors import JobCancelled as JobCancelled
    from askback.errors import JobFailed as JobFailed
    from askback.errors import LeaseLost as LeaseLost
    from askback.errors import MessageTooLarge as MessageTooLarge
    from askback.errors import NotFound as NotFound
    from askback.errors import PermissionDenied as PermissionDenied
    from askback.errors import PromptCancelled as PromptCancelled
    from askback.errors import PromptClaimed as PromptClaimed
    from askback.errors import PromptClosed as PromptClosed
    from askback.errors import PromptDeclined as PromptDeclined
    from askback.errors import PromptEnded as PromptEnded
    from askback.errors import PromptExpired as PromptExpired
    from askback.errors import PromptStale as PromptStale
    from askback.errors import QuestionChanged as QuestionChanged
    from askback.errors import ResourceExhausted as ResourceExhausted
    from askback.errors import SessionNotFound as SessionNotFound
    from askback.errors import Unauthenticated as Unauthenticated
    from askback.errors import Unavailable as Unavailable
    from askback.errors import Unimplemented as Unimplemented
    from askback.errors import Violation as Violation

_HOME = {
    "askback._client.client": "Client",
    "askback._client.prompt_calls": "PromptPage",
    "askback._client.run": "Run",
    "askback._client.verdict": "Verdict",
    "askback._console.console": "Console",
    "askback._console.console_prompt": "ConsolePrompt",
    "askback._console.console_view": "CaughtUp Closing",
    "askback._model.absences": "Absence",
    "askback._model.approvals": "Approval Shortfall Vote VoteCount",
    "askback._model.delegations": "Delegation DelegationPolicy",
    "askback._model.enums": (
        "AnswerSource AnswerStatus Authentication DecisionKind DelegationCause DelegationScope FinalAction "
        "JobState Keep MembershipSource PromptOrder PromptState"
    ),
    "askback._model.escalation": "After Exclude Remind",
    "askback._model.identity": "Identity",
    "askback._model.inbox_order": "inbox_order",
    "askback._model.jobs": "Event JobChange JobInfo",
    "askback._model.nonretryable": (
        "DuplicateKey InvalidAnswer InvalidKey InvalidStep InvalidTime InvalidValue NonRetryable"
    ),
    "askback._model.options": "Option",
    "askback._model.overview": "Activity ActivityCounts ConnectedStreams Overview Waiting WaitingPrompt",
    "askback._model.prompts": "AnswerOutcome Content PromptInfo",
    "askback._model.receipt_keys": "verify_receipt",
    "askback._model.receipts": "InvalidReceipt Receipt",
    "askback._model.resolutions": "AnswerInfo Resolution",
    "askback._model.rule_specs": "RuleSpec",
    "askback._model.rules": "PreviewCell Rule RulePreview RuleSample RuleState RuleSuggestion",
    "askback._model.people": "Group Membership Person",
    "askback._model.understanding": "Understanding",
    "askback._wire.batch": "BatchResult",
    "askback._wire.channel": "Tls",
    "askback._wire.receipt_errors": "AuditFailed ReceiptUnavailable",
    "askback._worker.job": "Job",
    "askback._worker.worker": "Worker",
    "askback.errors": (
        "Aborted AlreadyExists AnswerInvalid AskbackError CannotConnect DeadlineExceeded "
        "DelegationRefused FailedPrecondition Internal InvalidArgument JobCancelled JobFailed LeaseLost "
        "MessageTooLarge NotFound PermissionDenied PromptCancelled PromptClaimed PromptClosed "
        "PromptDeclined PromptEnded PromptExpired PromptStale QuestionChanged ResourceExhausted "
        "SessionNotFound Unauthenticated Unavailable Unimplemented Violation"
    ),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE)  # noqa: PLE0605  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'askback' has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
