"""What a commit of this replica announces to the others."""

from __future__ import annotations

from collections.abc import Iterator

from askback_server.domain.events import EventType
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.ports.announcements import EVERYONE, MAX_MARKS, AnnouncedPrompt, Announcement, mark


def announce(item: Committed) -> Announcement:
    """The announcement of a commit; the commit has events."""
    job = item.job
    touched: dict[str, bool] = {}
    for event in item.events:
        if event.prompt_id is not None:
            silent = event.type is EventType.PROMPT_CONSUMED
            touched[event.prompt_id] = silent and touched.get(event.prompt_id, True)
    late = item.late
    return Announcement(
        job.job_id,
        item.before,
        job.version,
        job.namespace,
        job.job_type,
        job.ready_at,
        job.is_freed,
        item.deleted,
        tuple(
            AnnouncedPrompt(p.prompt_id, marks_of(p), p.prompt_id in late, touched.get(p.prompt_id, False))
            for p in item.prompts
        ),
    )


def marks_of(prompt: Prompt) -> frozenset[str] | None:
    """The marks of a prompt.

    None if a view may have shown it that would not show it now, or if there are too many.
    """
    if prompt.is_turned_away:
        return None
    marks = frozenset(_marks(prompt))
    return marks if len(marks) <= MAX_MARKS else None


def _marks(prompt: Prompt) -> Iterator[str]:
    content = prompt.content
    yield mark("kind", content.kind)
    for name, value in content.labels.items():
        yield mark("label", f"{name}={value}")
    audience = content.reach
    if not audience.users and not audience.groups:
        yield EVERYONE
    for user in audience.users:
        yield mark("user", user)
    for group in audience.groups:
        yield mark("group", group)
