"""Takes jobs back from a live session whose worker does not run them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from askback_server.domain.commands import DropLease, SessionRef
from askback_server.domain.errors import AskbackError
from askback_server.engine.engine import Engine

_log = logging.getLogger("askback.server.sessions")


async def drop_leases(engine: Engine, session: SessionRef, leases: Sequence[tuple[str, int, bool]]) -> None:
    """Take jobs back. `leases`: job id, token, and whether the worker ever received the job.

    A refusal is only logged: the next heartbeat reports the difference again.
    """
    for job_id, _, received in leases:
        why = "is not run by the worker whose session holds it" if received else "did not reach its worker"
        extra = {"job_id": job_id, "session_id": session.session_id}
        _log.warning("job %s %s; it is taken back", job_id, why, extra=extra)
    commands = [
        DropLease(job_id=job_id, token=token, session=session, received=received)
        for job_id, token, received in leases
    ]
    results = await asyncio.gather(*map(engine.execute, commands), return_exceptions=True)
    for command, result in zip(commands, results, strict=True):
        if isinstance(result, AskbackError):
            _log.info(
                "job %s was not taken back: %s", command.job_id, result, extra={"job_id": command.job_id}
            )
        elif isinstance(result, BaseException):
            raise result
