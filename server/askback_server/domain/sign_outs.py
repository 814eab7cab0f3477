"""Sign-outs: records that a sign-in session has ended before its time.

A sign-in session belongs to a program that calls in the name of people, such as the web gateway. The service
does not know the sessions that go on, only those that were ended, until they would be over in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from askback_server.domain.errors import Unauthenticated
from askback_server.domain.violations import Violations

MAX_ID_CHARS = 128
"""Maximum length of a session's id."""
MAX_AHEAD = timedelta(days=31)
"""Maximum time for which a sign-out is stored."""


@dataclass(frozen=True, slots=True)
class SignOut:
    """The end of one session. It holds for calls with this subject only: ids are not secret."""

    subject: str
    session_id: str
    expires_at: datetime
    """When the session would be over in any case, by the database's clock."""


class SessionEnded(Unauthenticated):
    """The sign-in session of the call was ended."""

    reason = "SESSION_ENDED"

    def __init__(self) -> None:
        super().__init__("you have signed out; sign in again")


def is_session_id(text: str) -> bool:
    """Whether a text can be the id of a session: 1 to 128 printable ASCII characters."""
    return 0 < len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable()


def make_sign_out(subject: str, session_id: str, expires_at: datetime | None, now: datetime) -> SignOut:
    """The sign-out that a person asks for. Raises InvalidField."""
    wrong = Violations()
    if not is_session_id(session_id):
        wrong.bad("session_id", f"must be 1 to {MAX_ID_CHARS} printable ASCII characters")
    if expires_at is not None and expires_at > now + MAX_AHEAD:
        wrong.bad("expire_time", f"must be at most {MAX_AHEAD.days} days ahead")
    wrong.done()
    return SignOut(subject, session_id, expires_at or now + MAX_AHEAD)
