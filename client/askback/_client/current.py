"""Which client a job function's `start` uses: the one that was entered, with `async with`, around it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._worker.worker import Worker

entered: ContextVar[Client | None] = ContextVar("askback_entered_client", default=None)


class Stage(Protocol):
    """A test: brings worker and server together before a job starts (see askback.testing)."""

    async def client_for(self, worker: Worker | None) -> Client:
        """The client to start a job with, now that `worker` runs."""


stage: Stage | None = None
"""Set by askback.testing for as long as a test runs, and by nothing else."""


async def client_for(worker: Worker | None) -> Client:
    """The client to start a job with. Raises RuntimeError if none was entered."""
    if stage is not None:
        return await stage.client_for(worker)
    client = entered.get()
    if client is None:
        raise RuntimeError("enter a client first: `async with Client(...)`, or name one: .using(client)")
    return client
