"""Writes one log line per business event: who asked, answered, cancelled or ended what.

Lines name jobs and prompts by id, key and kind. They never contain a title, an answer's values, edits or
comment, a reason, or the text of a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from askback_server.domain.events import Event, EventType
from askback_server.engine.committed import Committed
from askback_server.engine.observer import NullObserver

_log = logging.getLogger("askback.server.events")

_WORDS = {
    EventType.JOB_CREATED: "job created",
    EventType.JOB_RETRIED: "job attempt failed",
    EventType.JOB_COMPLETED: "job completed",
    EventType.JOB_FAILED: "job failed",
    EventType.JOB_CANCEL_REQUESTED: "job cancel requested",
    EventType.JOB_CANCELLED: "job cancelled",
    EventType.JOB_UPDATED: "job updated",
    EventType.JOB_DELETED: "job deleted",
    EventType.PROMPT_ASKED: "prompt asked",
    EventType.PROMPT_AMENDED: "prompt amended",
    EventType.PROMPT_CLAIMED: "prompt claimed",
    EventType.PROMPT_RELEASED: "prompt released",
    EventType.PROMPT_ANSWERED: "prompt answered",
    EventType.PROMPT_EXPIRED: "prompt expired",
    EventType.PROMPT_CANCELLED: "prompt cancelled",
    EventType.PROMPT_SUPERSEDED: "prompt superseded",
    EventType.PROMPT_ESCALATED: "prompt escalated",
    EventType.PROMPT_EXCLUDED: "person excluded from a prompt",
    EventType.PROMPT_RULED: "rules matched a prompt",
    EventType.PROMPT_DELEGATED: "prompt delegated",
    EventType.PROMPT_REROUTED: "prompt rerouted",
    EventType.SUBSTITUTE_SKIPPED: "substitute skipped",
    EventType.ANSWER_REFUSED: "answer refused",
    EventType.ANSWER_LATE: "answer came too late",
}
"""Events that are not listed (leases, progress, checkpoints, reminders) are internal and not logged."""

_DATA = (
    "decision",
    "source",
    "status",
    "answer_id",
    "code",
    "attempt",
    "step",
    "retried_from",
    "carried_from",
    "matched",
    "errors",
    "outcome",
)
"""Fields copied from an event's data. All others may contain users' text."""


class EventLog(NullObserver):
    """Writes the lines after the commit, at the replica that made it: each event is logged once."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """See Observer."""
        if not _log.isEnabledFor(logging.INFO):
            return
        for item in batch:
            for event in item.events:
                if words := _WORDS.get(event.type):
                    # Not `_log.info`, which looks up the caller's line: it would always be this one.
                    fields = _fields(item, event)
                    _log.handle(
                        _log.makeRecord(_log.name, logging.INFO, "", 0, words, (), None, extra=fields)
                    )


def _fields(item: Committed, event: Event) -> dict[str, object]:
    data: Mapping[str, object] = event.data or {}
    fields: dict[str, object] = {"event": event.type.value, "by": data.get("by") or event.actor}
    for name in _DATA:
        if value := data.get(name):
            fields[name] = str(value)
    if event.prompt_id:
        prompt = next((p for p in item.prompts if p.prompt_id == event.prompt_id), None)
        fields["key"] = prompt.key if prompt is not None else data.get("key", "")
        if prompt is not None:
            fields["kind"] = prompt.content.kind
        fields["prompt_id"] = event.prompt_id
    fields |= {"job_id": event.job_id, "job_type": item.job.job_type, "namespace": event.namespace}
    return fields
