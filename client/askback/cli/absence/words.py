"""An absence in one line."""

from __future__ import annotations

from datetime import datetime

from askback._model.absences import Absence
from askback._text.spans import day_words
from askback._text.text import one_line


def absence_words(absence: Absence, now: datetime) -> str:
    """The absence in one line: `ana is away from Tue 1 Dec until Fri 4 Dec; ben stands in: holidays`."""
    since, until = absence.since, absence.until
    is_over = until is not None and until <= now
    begins = f" from {day_words(since, now)}" if since is not None and (since > now or is_over) else ""
    ends = f" until {day_words(until, now)}" if until is not None else ""
    verb = "was" if is_over else "is"
    instead = f"; {one_line(absence.substitute)} stands in" if absence.substitute else "; no one stands in"
    comment = f": {one_line(absence.comment)}" if absence.comment else ""
    return f"{one_line(absence.subject)} {verb} away{begins}{ends}{'' if is_over else instead}{comment}"
