"""The first connection of a channel: made, or refused in words, within a second or two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from askback._wire.channel import Endpoint
from askback._wire.diagnosis import diagnose
from askback.errors import CannotConnect

PATIENCE = 5.0
"""How long a program waits for a server that it never reached, in seconds: both may be starting."""
HASTE = 1.5
"""How long a command of a person does."""
_LOOK = 1.0
"""After so many seconds without a connection we look for the cause."""
_PAUSE = 0.2


async def connect(
    channel: grpc.aio.Channel,
    endpoint: Endpoint,
    patience: float | None = PATIENCE,
    waiting: Callable[[CannotConnect], object] = lambda problem: None,
) -> None:
    """Wait until the channel has a connection, or a server is there that will say itself what is wrong.

    What waiting may help with (nothing listens, an unknown name) is waited for: for `patience` seconds
    (None: without limit), while `waiting` is called with the cause. Raises CannotConnect.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    pause = _PAUSE
    while not await _is_ready(channel, _LOOK):
        problem = await diagnose(endpoint)
        if problem is None:
            return
        if not problem.passing or (patience is not None and loop.time() - began >= patience):
            raise problem
        waiting(problem)
        await asyncio.sleep(pause)
        pause = min(2 * pause, 5.0) if patience is None else _PAUSE


async def _is_ready(channel: grpc.aio.Channel, within: float) -> bool:
    """Whether the channel is connected; False as soon as a try has failed, and after `within` seconds."""
    state = channel.get_state(try_to_connect=True)
    try:
        async with asyncio.timeout(within):
            while state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return state is grpc.ChannelConnectivity.READY
