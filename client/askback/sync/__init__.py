"""Askback for programs without an event loop: Django, Flask, scripts and notebooks.

    from askback.sync import Client

    with Client() as client:
        if client.ask("Deploy?").result(timeout=3600):
            ...

Client, Run, Console and ConsolePrompt have the names, arguments, results and errors of those of `askback`;
everything else here is what `askback` has under the same name. Workers run jobs in an event loop and are
not here.
"""

from askback.channel import Tls as Tls
from askback.client_prompts import PromptPage as PromptPage
from askback.desk import CaughtUp as CaughtUp
from askback.desk import Closing as Closing
from askback.enums import AnswerStatus as AnswerStatus
from askback.enums import Authentication as Authentication
from askback.enums import DecisionKind as DecisionKind
from askback.enums import FinalAction as FinalAction
from askback.enums import JobState as JobState
from askback.enums import Keep as Keep
from askback.enums import PromptState as PromptState
from askback.errors import Aborted as Aborted
from askback.errors import AlreadyExists as AlreadyExists
from askback.errors import AnswerInvalid as AnswerInvalid
from askback.errors import AskbackError as AskbackError
from askback.errors import CannotConnect as CannotConnect
from askback.errors import DeadlineExceeded as DeadlineExceeded
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
from askback.escalation import After as After
from askback.escalation import Remind as Remind
from askback.identity import Identity as Identity
from askback.jobs import Event as Event
from askback.jobs import JobChange as JobChange
from askback.jobs import JobInfo as JobInfo
from askback.nonretryable import DuplicateKey as DuplicateKey
from askback.nonretryable import InvalidAnswer as InvalidAnswer
from askback.nonretryable import InvalidKey as InvalidKey
from askback.nonretryable import InvalidStep as InvalidStep
from askback.nonretryable import InvalidTime as InvalidTime
from askback.nonretryable import InvalidValue as InvalidValue
from askback.nonretryable import NonRetryable as NonRetryable
from askback.prompts import AnswerInfo as AnswerInfo
from askback.prompts import AnswerOutcome as AnswerOutcome
from askback.prompts import Content as Content
from askback.prompts import Option as Option
from askback.prompts import PromptInfo as PromptInfo
from askback.prompts import Resolution as Resolution
from askback.sync.client import Client as Client
from askback.sync.console import Console as Console
from askback.sync.console import ConsolePrompt as ConsolePrompt
from askback.sync.run import Run as Run
from askback.understanding import Understanding as Understanding
from askback.verdict import Verdict as Verdict
