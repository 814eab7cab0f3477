"""The port that Prometheus reads."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from askback_server.config import address
from askback_server.listening import cannot_listen


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
        self.port: int = self._server.server_port

    async def close(self) -> None:
        """Answer no more."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        await asyncio.to_thread(self._thread.join)
