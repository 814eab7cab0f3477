"""Whoever watches one job: what it may be told of the job's events, now."""

from __future__ import annotations

from collections.abc import Iterable

from askback_server.domain.errors import JobNotFound
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.queries import Queries

_MOVES_AUDIENCE = frozenset({EventType.PROMPT_AMENDED, EventType.PROMPT_ESCALATED, EventType.JOB_DELETED})
"""Only these can take the last prompt of a job out of a principal's sight."""


class JobViewer:
    """The principal that watches a job, with its access as it is now.

    A client or worker sees every event. A console sees the job's head while it may see one of the job's
    prompts, and of prompts those that it may see.
    """

    def __init__(self, queries: Queries, job: Job, principal: Principal) -> None:
        self._queries = queries
        self._job = job
        self._principal = principal
        self._checked = True
        self._prompts: dict[str, Prompt] = {}

    @property
    def sees_all(self) -> bool:
        """Whether it is on the asker's side."""
        return self._principal.has(Role.CLIENT, Role.WORKER)

    def access_changed(self, principal: Principal) -> None:
        """Its roles, groups or namespaces are others now; `look` must be called before more is told.

        Raises PermissionDenied without any role that may watch, JobNotFound outside of the namespace.
        """
        principal.require(Role.CLIENT, Role.WORKER, Role.CONSOLE)
        if not principal.may_use(self._job.namespace):
            raise JobNotFound(self._job.job_id)
        self._principal = principal
        self._checked = False

    async def look(self, events: Iterable[Event]) -> None:
        """Find out what it may be told of these events. Raises JobNotFound if it may not watch any more."""
        if self.sees_all:
            return
        ids = {event.prompt_id for event in events if event.prompt_id}
        moved = any(event.type in _MOVES_AUDIENCE for event in events)
        self._prompts = {p.prompt_id: p for p in await self._queries.prompts(ids)} if ids else {}
        if moved or not self._checked:
            self._checked = True
            if not await self._queries.count_visible_prompts(self._job, self._principal):
                raise JobNotFound(self._job.job_id)

    def sees_prompt_of(self, event: Event) -> bool:
        """Whether it may see the prompt of one of the events that were looked at."""
        prompt = self._prompts.get(event.prompt_id or "")
        return prompt is not None and prompt.is_visible_to(self._principal)
