"""The HTTP port for Prometheus."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from askback._metrics.families import Family

_log = logging.getLogger("askback.metrics")

COLLECT_TIMEOUT = 10.0
"""Timeout in seconds for the event loop to start and finish a collection."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE_SECONDS = 1.0
"""Pause in seconds before accepting connections again after descriptors or memory ran out."""


def _pausing(accept: Callable[[], Any]) -> Callable[[], Any]:
    """Accept connections, without a busy loop while descriptors or memory are exhausted."""

    def get_request() -> Any:
        try:
            return accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                time.sleep(PAUSE_SECONDS)
            raise

    return get_request


class LoopCollector(Collector):
    """Metrics that are read in the event loop that changes them. Create it in that loop.

    The library of Prometheus calls from its own thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def collect(self) -> Iterable[Family]:
        """All metric families; none if the event loop is too busy. Called from another thread."""
        reading = asyncio.run_coroutine_threadsafe(self._read(time.monotonic()), self._loop)
        try:
            return reading.result(COLLECT_TIMEOUT)
        except TimeoutError:
            reading.cancel()
            _log.warning("the event loop is too busy: metrics were not read within %g s", COLLECT_TIMEOUT)
            return ()

    async def _read(self, asked: float) -> list[Family]:
        return await self.read(time.monotonic() - asked)

    @abstractmethod
    async def read(self, lag: float) -> list[Family]:
        """All metric families. `lag`: seconds that the event loop took to turn to this."""


class Exposition:
    """An HTTP server in its own thread, from construction to `close`."""

    def __init__(self, host: str, port: int, collector: Collector) -> None:
        """Listen; port 0 uses a free port. Raises OSError."""
        self.collector = collector
        self._registry = CollectorRegistry()
        self.add(collector)
        ProcessCollector(registry=self._registry)
        self._server, self._thread = start_http_server(port, host, self._registry)
        self._server.get_request = _pausing(self._server.get_request)  # type: ignore[method-assign]
        self.port: int = self._server.server_port

    def add(self, collector: Collector) -> None:
        """Expose the metrics of another part of this process too."""
        self._registry.register(collector)

    async def close(self) -> None:
        """Stop listening and end the thread."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        await asyncio.to_thread(self._thread.join)
