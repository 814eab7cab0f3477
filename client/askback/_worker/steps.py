"""The steps of a leased job: each is computed once, and its result is stored as a checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from askback._model.nonretryable import InvalidStep
from askback._worker.keys import Keys
from askback.errors import InvalidArgument, ResourceExhausted
from askback.v1 import worker_service_pb2 as pb


class Steps:
    """The checkpoints of earlier runs, and the steps of this run.

    `send` sends a request under the lease, by its name; `touch` notes an activity of the function.
    """

    def __init__(
        self, leased: pb.LeasedJob, send: Callable[[str, Any], Awaitable[Any]], touch: Callable[[], None]
    ) -> None:
        self.running = 0
        """The number of steps that are being computed or saved."""
        self._job_id = leased.job.job_id
        self._token = leased.token
        self._send = send
        self._touch = touch
        self._checkpoints = {point.key: point.value_json for point in leased.checkpoints}
        self._more = leased.more
        self._paging = asyncio.Lock()
        self._keys = Keys("step")
        self._unsaved: dict[str, str] = {}
        """Computed results by key whose saving was cancelled or failed."""

    async def once(self, key: str, compute: Callable[[], Awaitable[str]]) -> str:
        """The checkpoint of this key as JSON text; `compute` is called if there is none.

        Always lets other tasks run first. Raises DuplicateKey for a key that this run has used, the errors
        of `compute` and SaveCheckpoint, and InvalidStep for a result that the service refuses.
        """
        await asyncio.sleep(0)
        self._keys.use(key)
        try:
            await self._load()
            if key not in self._checkpoints:
                await self._make(key, compute)
        except BaseException:
            self._keys.free(key)
            raise
        return self._checkpoints[key]

    async def _make(self, key: str, compute: Callable[[], Awaitable[str]]) -> None:
        self.running += 1
        try:
            if key not in self._unsaved:
                self._unsaved[key] = await compute()
            await self._save(key, self._unsaved[key])
        finally:
            self.running -= 1
            self._touch()
        self._checkpoints[key] = self._unsaved.pop(key)

    async def _save(self, key: str, text: str) -> None:
        request = pb.SaveCheckpointRequest(job_id=self._job_id, token=self._token, key=key, value_json=text)
        try:
            await self._send("save_checkpoint", request)
        except (InvalidArgument, ResourceExhausted) as error:
            # The step's effect has happened: another attempt would repeat it, and be refused again.
            raise InvalidStep(f"the result of the step {key!r} cannot be kept: {error}") from error

    async def _load(self) -> None:
        """Read the checkpoints that did not fit into the lease's message."""
        page = ""
        async with self._paging:
            while self._more:
                request = pb.ListCheckpointsRequest(job_id=self._job_id, page_token=page)
                reply: pb.ListCheckpointsResponse = await self._send("list_checkpoints", request)
                for point in reply.checkpoints:
                    self._checkpoints.setdefault(point.key, point.value_json)
                page = reply.next_page_token
                self._more = bool(page)
