"""The HTTP port for Prometheus."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from askback_server.addresses import address
from askback_server.listening import cannot_listen

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


class Exposition:
    """An HTTP server in its own thread, from construction to `close`."""

    def __init__(self, listen: str, collector: Collector) -> None:
        """Listen on `host:port`; port 0 uses a free port. Raises CannotListen."""
        host, port = address(listen)
        self.collector = collector
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise cannot_listen(listen, "--metrics-listen", error) from None
        self._server.get_request = _pausing(self._server.get_request)  # type: ignore[method-assign]
        self.port: int = self._server.server_port

    async def close(self) -> None:
        """Stop listening and end the thread."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        await asyncio.to_thread(self._thread.join)
