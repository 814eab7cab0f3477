"""Decides which events of a job its viewer may see. This changes with the viewer's access and the prompts'
audience."""

from __future__ import annotations

from collections.abc import Iterable

from askback_server.domain.errors import JobNotFound
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.queries import Queries

_AUDIENCE_CHANGES = frozenset(
    {
        EventType.PROMPT_AMENDED,
        EventType.PROMPT_ESCALATED,
        EventType.PROMPT_EXCLUDED,
        EventType.PROMPT_DELEGATED,
        EventType.DELEGATION_ENDED,
        EventType.PROMPT_REROUTED,
        EventType.JOB_DELETED,
    }
)
"""Events that can make the last visible prompt of a job invisible to a principal."""


class JobViewer:
    """The principal that watches a job, with its current access.

    A client or worker sees every event. A console sees the job's head while it may see one of the job's
    prompts, and only events of prompts that it may see.
    """

    def __init__(self, queries: Queries, job: Job, principal: Principal) -> None:
        self._queries = queries
        self._job = job
        self._principal = principal
        self._checked = True
        self._prompts: dict[str, Prompt] = {}

    @property
    def sees_all(self) -> bool:
        """Whether it sees every event."""
        return self._principal.has(Role.CLIENT, Role.WORKER)

    def change_access(self, principal: Principal) -> None:
        """Set the principal after its access has changed. `check` must be called before more events are sent.

        Raises PermissionDenied without a role that may watch, JobNotFound outside of its namespaces.
        """
        principal.require(Role.CLIENT, Role.WORKER, Role.CONSOLE)
        if not principal.may_use(self._job.namespace):
            raise JobNotFound(self._job.job_id)
        self._principal = principal
        self._checked = False

    async def check(self, events: Iterable[Event]) -> None:
        """Read the prompts needed to filter these events. Raises JobNotFound if the principal may not watch
        the job any more."""
        if self.sees_all:
            return
        ids = {event.prompt_id for event in events if event.prompt_id}
        audience_changed = any(event.type in _AUDIENCE_CHANGES for event in events)
        self._prompts = {p.prompt_id: p for p in await self._queries.prompts(ids)} if ids else {}
        if audience_changed or not self._checked:
            self._checked = True
            if not await self._queries.count_visible_prompts(self._job, self._principal):
                raise JobNotFound(self._job.job_id)

    def sees_prompt_of(self, event: Event) -> bool:
        """Whether the principal may see the prompt of an event that was checked."""
        prompt = self._prompts.get(event.prompt_id or "")
        return prompt is not None and prompt.is_visible_to(self._principal)
