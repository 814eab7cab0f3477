"""Announcements as the texts of notifications: JSON arrays without names of fields, to be short."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from askback_server.ports.announcements import AnnouncedPrompt, Announcement

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
    """Parse a JSON array of announcements. What a later version says in another form is left out."""
    try:
        found: Iterable[Any] = json.loads(text)
        return [parsed for parts in found if (parsed := _parse(parts)) is not None]
    except (ValueError, TypeError):
        return ()


def _parse(parts: Any) -> Announcement | None:
    try:
        job_id, after, seq, *rest = parts
        if not rest:
            return Announcement(job_id, after, seq)
        namespace, job_type, ready, flags, prompts = rest
        return Announcement(
            job_id,
            after,
            seq,
            namespace,
            job_type,
            None if ready is None else datetime.fromtimestamp(ready, UTC),
            bool(flags & 1),
            bool(flags & 2),
            tuple(
                AnnouncedPrompt(i, None if m is None else frozenset(m.split()), bool(f & 1), bool(f & 2))
                for i, f, m in prompts
            ),
        )
    except (ValueError, TypeError, AttributeError):
        return None
