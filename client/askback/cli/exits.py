"""Exit codes, by which shell scripts distinguish outcomes."""

from __future__ import annotations

from enum import IntEnum

from askback import errors
from askback.errors import AskbackError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    """It was done; a question was answered with yes."""
    ERROR = 1
    """Something unexpected: a bug, of the service or of ours."""
    USAGE = 2
    """The command, its input or a setting is wrong."""
    NOT_FOUND = 3
    """No such thing, or you may not see it."""
    CONFLICT = 4
    """The state of things does not allow it: answered already, ended, changed meanwhile."""
    NO = 5
    """A no: rejected, declined, withdrawn; the job failed or was cancelled."""
    NO_ANSWER = 6
    """No answer in time; also if the default then said no."""
    UNAVAILABLE = 7
    """The server cannot be reached, or does not take calls now."""
    DENIED = 8
    """Not authenticated, or not permitted."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""


_EXIT_CODES: tuple[tuple[type[AskbackError], Exit], ...] = (
    (errors.InvalidArgument, Exit.USAGE),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.AlreadyExists, Exit.CONFLICT),
    (errors.FailedPrecondition, Exit.CONFLICT),
    (errors.Aborted, Exit.CONFLICT),
    (errors.Unauthenticated, Exit.DENIED),
    (errors.PermissionDenied, Exit.DENIED),
    (errors.Unavailable, Exit.UNAVAILABLE),
    (errors.JobFailed, Exit.NO),
    (errors.JobCancelled, Exit.NO),
    (errors.PromptExpired, Exit.NO_ANSWER),
    (errors.PromptEnded, Exit.NO),
)


def exit_of(error: AskbackError) -> Exit:
    """The exit code for an error.

    An answer after the prompt's deadline is NO_ANSWER, not CONFLICT. Of the two kinds of ResourceExhausted a
    full queue is UNAVAILABLE, and a limit of the service is USAGE.
    """
    if isinstance(error, errors.PromptClosed) and error.metadata.get("state", "").endswith("EXPIRED"):
        return Exit.NO_ANSWER
    if isinstance(error, errors.ResourceExhausted):
        return Exit.USAGE if error.retry_after is None else Exit.UNAVAILABLE
    return next((code for cls, code in _EXIT_CODES if isinstance(error, cls)), Exit.ERROR)
