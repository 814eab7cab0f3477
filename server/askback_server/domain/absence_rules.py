"""What people and admins may set as an absence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from askback_server.domain.absences import Absence, cycle_of
from askback_server.domain.checks import Checker
from askback_server.domain.errors import NotFound
from askback_server.domain.limits import Limits
from askback_server.domain.people import ANONYMOUS

MAX_LENGTH = timedelta(days=366)
MAX_AHEAD = timedelta(days=2 * 366)
MAX_PER_PERSON = 50
"""Absences of one person that are not over."""


class AbsenceNotFound(NotFound):
    """There is no such absence in the namespace, or it is another person's."""

    reason = "ABSENCE_NOT_FOUND"

    def __init__(self, absence_id: str) -> None:
        super().__init__(f"there is no absence {absence_id!r} that you may change", absence_id=absence_id)


@dataclass(frozen=True, slots=True)
class AbsenceSetting:
    """What is asked to be stored."""

    namespace: str
    subject: str
    until_at: datetime
    from_at: datetime | None = None
    """None: from now on."""
    substitute: str = ""
    comment: str = ""
    absence_id: str = ""
    """Of the absence to change; empty for a further one."""


def check_setting(setting: AbsenceSetting, limits: Limits) -> None:
    """Raise InvalidField unless its texts can be stored and name people."""
    check = Checker(limits)
    check.text("subject", setting.subject, limits.subject_bytes, required=True)
    check.text("substitute", setting.substitute, limits.subject_bytes)
    check.text("comment", setting.comment, limits.reason_chars)
    if ANONYMOUS in (setting.subject, setting.substitute):
        check.bad("subject", "is the name of callers without a name, not of a person")
    if setting.substitute and setting.substitute == setting.subject:
        check.bad("substitute", "must be another person")
    check.done()


def set_absence(
    setting: AbsenceSetting, known: Sequence[Absence], now: datetime, limits: Limits, new_id: str, by: str
) -> Absence:
    """The absence as it is to be stored. `known` has those of the namespace that are not over.

    One that says the same is returned as it is. Raises InvalidField, AbsenceNotFound.
    """
    mine = [each for each in known if each.subject == setting.subject]
    before = next((each for each in mine if each.absence_id == setting.absence_id), None)
    if setting.absence_id and before is None:
        raise AbsenceNotFound(setting.absence_id)
    from_at = setting.from_at or (before.from_at if before is not None else now)
    if before is None and setting.from_at is None:
        before = next((each for each in mine if _says(each, setting) and each.holds(now)), None)
        from_at = before.from_at if before is not None else now
    wanted = Absence(
        absence_id=new_id,
        namespace=setting.namespace,
        subject=setting.subject,
        from_at=from_at,
        until_at=setting.until_at,
        substitute=setting.substitute,
        comment=setting.comment,
        set_by=by,
    )
    if before is None:
        before = next((each for each in mine if _says(each, setting) and each.from_at == from_at), None)
    if before is not None:
        wanted = replace(
            wanted,
            absence_id=before.absence_id,
            created_at=before.created_at,
            updated_at=before.updated_at,
        )
        if replace(wanted, set_by=before.set_by) == before:
            return before
    others = [each for each in known if each.absence_id != wanted.absence_id]
    check = Checker(limits)
    _check_times(check, wanted, now)
    same = [each for each in others if each.subject == wanted.subject]
    if (other := next((each for each in same if each.overlaps(wanted)), None)) is not None:
        check.bad("from_time", f"overlaps the absence {other.absence_id}: change or delete that one")
    if len(same) >= MAX_PER_PERSON:
        check.bad("from_time", f"is one too many: {MAX_PER_PERSON} absences of a person can be planned")
    if circle := cycle_of(wanted, others):
        names = " for ".join([wanted.subject, *reversed(circle)])
        check.bad("substitute", f"closes a circle at the same time ({names}): name a person who is there")
    check.done()
    return wanted


def end_absence(absence: Absence, now: datetime) -> Absence:
    """The absence as it is when it is deleted: it ends now.

    One that has not begun is of no length now. At its own time it would be listed until then, and would
    overlap another absence at that time.
    """
    until_at = min(now, absence.until_at)
    return replace(absence, from_at=min(absence.from_at, until_at), until_at=until_at)


def _says(absence: Absence, setting: AbsenceSetting) -> bool:
    return (absence.until_at, absence.substitute, absence.comment) == (
        setting.until_at,
        setting.substitute,
        setting.comment,
    )


def _check_times(check: Checker, wanted: Absence, now: datetime) -> None:
    if wanted.until_at <= wanted.from_at:
        check.bad("until_time", "must be later than from_time")
    elif wanted.until_at <= now:
        check.bad("until_time", "has passed")
    elif wanted.until_at - wanted.from_at > MAX_LENGTH:
        check.bad("until_time", f"must be within {MAX_LENGTH.days} days of from_time")
    if wanted.from_at - now > MAX_AHEAD:
        check.bad("from_time", f"must be within {MAX_AHEAD.days} days")
