"""Announcements as the texts of notifications: JSON arrays without names of fields, to be short."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from askback_server.ports.announcements import AnnouncedPrompt, Announcement

_log = logging.getLogger("askback.server.storage")
_is_id = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""Whether a text is an id; raises TypeError for what is no text."""

MAX_BYTES = 2_000
"""Maximum bytes of one announcement as text; of a longer one only job and seqs are said (`is_bare`)."""


def to_text(announcement: Announcement) -> str:
    """The announcement as JSON text without line breaks; at most `MAX_BYTES`."""
    a = announcement
    parts: list[Any] = [a.job_id, a.after, a.seq]
    if not a.is_bare:
        ready = a.ready_at.timestamp() if a.ready_at is not None else None
        prompts = [
            [p.prompt_id, p.late * 1 + p.silent * 2, None if p.marks is None else " ".join(sorted(p.marks))]
            for p in a.prompts
        ]
        parts += [a.namespace, a.job_type, ready, a.freed * 1 + a.deleted * 2, prompts]
    text = json.dumps(parts, separators=(",", ":"))
    return text if len(text) <= MAX_BYTES else to_text(Announcement(a.job_id, a.after, a.seq))


def from_texts(text: str) -> Sequence[Announcement]:
    """Parse a JSON array of announcements. What is not one, or of a later version, is left out."""
    try:
        found: Iterable[Any] = json.loads(text)
        return [parsed for parts in found if (parsed := _parse(parts)) is not None]
    except (ValueError, TypeError, RecursionError):
        _warn()
        return ()


@cache
def _warn() -> None:
    """Log once that an announcement could not be read."""
    _log.warning(
        "a notification on the channel of the replicas is ignored: it is of another version of Askback, or "
        "was not sent by a replica. The log brings the changes half a second later. This is logged once"
    )


def _parse(parts: Any) -> Announcement | None:
    """The announcement; None if it is none, because any role of the database can send notifications."""
    try:
        job_id, after, seq, *rest = parts
        _expect(int, after, seq)
        if not (_is_id(job_id) and 0 <= after < seq):
            raise ValueError(seq)
        if not rest:
            return Announcement(job_id, after, seq)
        namespace, job_type, ready, flags, prompts = rest
        _expect(str, namespace, job_type)
        return Announcement(
            job_id,
            after,
            seq,
            namespace,
            job_type,
            None if ready is None else datetime.fromtimestamp(ready, UTC),
            bool(flags & 1),
            bool(flags & 2),
            tuple(_parse_prompt(*prompt) for prompt in prompts),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        _warn()
        return None


def _parse_prompt(prompt_id: Any, flags: Any, marks: Any) -> AnnouncedPrompt:
    if not _is_id(prompt_id):
        raise ValueError(prompt_id)
    known = None if marks is None else frozenset(marks.split())
    return AnnouncedPrompt(prompt_id, known, bool(flags & 1), bool(flags & 2))


def _expect(kind: type, *values: object) -> None:
    """Raise TypeError unless the values are of exactly this type."""
    if any(type(value) is not kind for value in values):
        raise TypeError(kind)
