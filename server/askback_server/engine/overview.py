"""Reads the figures of a namespace for a principal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from askback_server.domain.limits import Limits
from askback_server.domain.overview import (
    Activity,
    Connected,
    Waiting,
    Window,
    sum_activity,
    sum_waiting,
)
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.directory import Directory
from askback_server.engine.presence import PresenceTracker
from askback_server.ports.overview import OverviewStore
from askback_server.ports.storage import JobStore

MAX_OLDEST = 10
"""Prompts in the list of the oldest."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of a namespace that a principal may see."""

    now: datetime
    waiting: Waiting
    oldest: Sequence[Prompt]
    connected: Connected | None = None
    """None for a console."""
    activity: Activity | None = None
    """None for a console."""


class Overviews:
    """Reads from counts and indexes, a few callers at a time."""

    def __init__(
        self,
        store: OverviewStore,
        jobs: JobStore,
        presence: PresenceTracker,
        directory: Directory,
        limits: Limits,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._presence = presence
        self._directory = directory
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.overview_reads)

    async def read(self, principal: Principal, namespace: str, span: timedelta | None) -> Overview:
        """The figures: of the namespace for a client, of its own open prompts for a console.

        Raises PermissionDenied, InvalidField, StorageUnavailable.
        """
        principal.require(Role.CLIENT, Role.CONSOLE)
        self._directory.note(principal, namespace)
        viewer = None if principal.has(Role.CLIENT) else principal
        async with self._turns:
            now = await self._store.now()
            window = Window.until(now, span)
            waiting = await self._waiting(namespace, viewer)
            oldest = await self._oldest(namespace, viewer)
            if viewer is not None:
                return Overview(now, waiting, oldest)
            consoles, people = self._presence.count_consoles(namespace)
            connected = Connected(consoles, people, await self._store.count_workers(namespace))
            return Overview(now, waiting, oldest, connected, await self._activity(namespace, window))

    async def _waiting(self, namespace: str, viewer: Principal | None) -> Waiting:
        return sum_waiting(*await self._store.waiting(namespace, viewer, self._limits.overview_prompts))

    async def _oldest(self, namespace: str, viewer: Principal | None) -> Sequence[Prompt]:
        maximum = self._limits.overview_prompts
        ids = await self._store.oldest(namespace, viewer, maximum, MAX_OLDEST)
        if not ids:
            return ()
        found, _ = await self._jobs.first_prompts(ids, self._limits.page_bytes)
        still = [prompt for prompt in found if prompt.is_open and (viewer is None or prompt.is_for(viewer))]
        return sorted(still, key=lambda prompt: (prompt.created_at, prompt.prompt_id))

    async def _activity(self, namespace: str, window: Window) -> Activity:
        mark = await self._store.mark()
        points = await self._store.by_point(namespace, window)
        return sum_activity(window, points, await self._store.by_type(namespace, window), mark.until)
