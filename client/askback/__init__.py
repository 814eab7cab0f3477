"""Askback: jobs that can stop and ask a human.

    Client                start jobs, ask people without a worker, follow, steer, answer
    Run                   one job in the hands of the program that started it
    Worker, Job           run jobs that ask
    Verdict               what people decided; true only for a yes
    Console               the live desk of a person or of a program that answers as one
    AskbackError          everything that can go wrong (see askback.errors)

Names are imported when they are first used: `import askback` loads neither grpc nor pydantic.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; typing's own would cost more than all else here
if TYPE_CHECKING:
    from askback.channel import Tls as Tls
    from askback.client import Client as Client
    from askback.client_prompts import PromptPage as PromptPage
    from askback.console import Console as Console
    from askback.console_prompt import ConsolePrompt as ConsolePrompt
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
    from askback.job import Job as Job
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
    from askback.run import Run as Run
    from askback.understanding import Understanding as Understanding
    from askback.verdict import Verdict as Verdict
    from askback.worker import Worker as Worker

_HOME = {
    "askback.channel": "Tls",
    "askback.client": "Client",
    "askback.client_prompts": "PromptPage",
    "askback.console": "Console",
    "askback.console_prompt": "ConsolePrompt",
    "askback.desk": "CaughtUp Closing",
    "askback.enums": "AnswerStatus Authentication DecisionKind FinalAction JobState Keep PromptState",
    "askback.errors": (
        "Aborted AlreadyExists AnswerInvalid AskbackError CannotConnect DeadlineExceeded "
        "FailedPrecondition Internal InvalidArgument JobCancelled JobFailed LeaseLost MessageTooLarge "
        "NotFound PermissionDenied PromptCancelled PromptClaimed PromptClosed PromptDeclined "
        "PromptEnded PromptExpired PromptStale QuestionChanged ResourceExhausted SessionNotFound "
        "Unauthenticated Unavailable Unimplemented Violation"
    ),
    "askback.escalation": "After Remind",
    "askback.identity": "Identity",
    "askback.job": "Job",
    "askback.jobs": "Event JobChange JobInfo",
    "askback.nonretryable": (
        "DuplicateKey InvalidAnswer InvalidKey InvalidStep InvalidTime InvalidValue NonRetryable"
    ),
    "askback.prompts": "AnswerInfo AnswerOutcome Content Option PromptInfo Resolution",
    "askback.run": "Run",
    "askback.understanding": "Understanding",
    "askback.verdict": "Verdict",
    "askback.worker": "Worker",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'askback' has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
