"""Calls that come while the event loop is busy are accepted together."""

import asyncio
import threading
import time

import grpc

from askback.v1 import access_service_pb2 as access
from askback.v1 import access_service_pb2_grpc
from askback_server.transport.acceptor import REQUESTED
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld

CALLS = 2 * REQUESTED
BUSY_SECONDS = 0.02
"""How long each turn of the event loop takes: enough for gRPC's thread to queue what has come."""


async def test_calls_that_wait_are_accepted_in_few_turns_of_a_busy_loop(lite: ServiceWorld) -> None:
    """With one requested call, each of them took a turn, as each prompt of a burst took a fan-out."""
    address = f"127.0.0.1:{lite.service.port}"
    loop, done = asyncio.get_running_loop(), threading.Event()
    turns = 0

    def call_all() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = access_service_pb2_grpc.AccessServiceStub(channel)
            metadata = (("askback-user", "ada"),)
            stub.WhoAmI(access.WhoAmIRequest(), metadata=metadata, timeout=SOON)
            loop.call_soon_threadsafe(keep_busy)
            calls = [
                stub.WhoAmI.future(access.WhoAmIRequest(), metadata=metadata, timeout=SOON)
                for _ in range(CALLS)
            ]
            for call in calls:
                call.result()
        done.set()

    def keep_busy() -> None:
        nonlocal turns
        turns += 1
        time.sleep(BUSY_SECONDS)  # a busy turn, as with the streams of a fan-out
        if not done.is_set():
            loop.call_soon(keep_busy)

    await asyncio.to_thread(call_all)
    assert turns < CALLS, "each call took turns of its own"
