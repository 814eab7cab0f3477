"""Texts of times."""

from __future__ import annotations

from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _IsoText:
    """Formats times. It remembers the second of the last one, which most times share with the next."""

    def __init__(self) -> None:
        self._last: tuple[int, int, str] = -1, -1, ""

    def __call__(self, at: datetime) -> str:
        """ISO 8601 in UTC with microseconds, so that texts sort as times."""
        since = at - _EPOCH
        days, seconds, text = self._last
        if since.seconds != seconds or since.days != days:
            utc = at if at.tzinfo is UTC else at.astimezone(UTC)
            text = utc.isoformat(timespec="seconds")[:-6]
            self._last = since.days, since.seconds, text
        return f"{text}.{since.microseconds:06d}+00:00"


iso_text = _IsoText()
