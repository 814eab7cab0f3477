"""Makes the first connection of a channel, or explains within a second or two why it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from askback._wire.channel import Endpoint
from askback._wire.diagnosis import diagnose
from askback.errors import CannotConnect

CONNECT_SECONDS = 5.0
"""Seconds that a program waits for a server that it never reached: both may be starting."""
COMMAND_CONNECT_SECONDS = 1.5
"""The same for a command of the command line: a person waits."""
_DIAGNOSE_SECONDS = 1.0
"""Seconds without a connection after which we diagnose the cause."""
_PAUSE_SECONDS = 0.2


async def connect(
    channel: grpc.aio.Channel,
    endpoint: Endpoint,
    contact_timeout: float | None = CONNECT_SECONDS,
    waiting: Callable[[CannotConnect], object] = lambda problem: None,
) -> None:
    """Wait until the channel is connected, or until a server answers that will report its own errors.

    For a cause that may pass (nothing listens, an unknown name) this waits up to `contact_timeout` seconds
    (None: without limit) and calls `waiting` with the cause. Raises CannotConnect.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    pause = _PAUSE_SECONDS
    while not await _is_ready(channel, _DIAGNOSE_SECONDS):
        problem = await diagnose(endpoint)
        if problem is None:
            return
        if not problem.passing or (contact_timeout is not None and loop.time() - began >= contact_timeout):
            raise problem
        waiting(problem)
        await asyncio.sleep(pause)
        pause = min(2 * pause, 5.0) if contact_timeout is None else _PAUSE_SECONDS


async def _is_ready(channel: grpc.aio.Channel, within: float) -> bool:
    """Whether the channel connects; False as soon as an attempt has failed, and after `within` seconds."""
    state = channel.get_state(try_to_connect=True)
    try:
        async with asyncio.timeout(within):
            while state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return state is grpc.ChannelConnectivity.READY
