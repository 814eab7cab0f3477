"""The port that Prometheus reads."""

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
PAUSE = 1.0
"""Seconds until a connection is accepted again after descriptors or memory ran out."""


def _pausing(accept: Callable[[], Any]) -> Callable[[], Any]:
    """Accept connections, but not in a busy loop while there is nothing left to accept them with."""

    def get_request() -> Any:
        try:
            return accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                time.sleep(PAUSE)
            raise

    return get_request


class Exposition:
    """Plain HTTP in a thread of its own, from its making until `close`."""

    def __init__(self, listen: str, collector: Collector) -> None:
        """Listen on a `host:port`; port 0 takes a free one. Raises CannotListen."""
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
        """Answer no more."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        await asyncio.to_thread(self._thread.join)
