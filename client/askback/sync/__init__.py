"""Askback for programs without an event loop: Django, Flask, scripts and notebooks.

    from askback.sync import Client

    with Client() as client:
        if client.ask("Deploy?").result(timeout=3600):
            ...

Client, Run, Console and ConsolePrompt have the names, arguments, results and errors of those of `askback`;
all other names are the same objects as in `askback`. There is no Worker: workers need an event loop.
"""

from askback._client.prompt_calls import PromptPage as PromptPage
from askback._client.verdict import Verdict as Verdict
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
from askback.sync.client import Client as Client
from askback.sync.console import Console as Console
from askback.sync.console import ConsolePrompt as ConsolePrompt
from askback.sync.run import Run as Run
