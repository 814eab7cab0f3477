"""Collects the metrics of a gateway when Prometheus scrapes it."""

from __future__ import annotations

from askback._metrics.exposition import LoopCollector
from askback._metrics.families import Family, counter, gauge, gauges, histogram
from askback.web import catalogue as c
from askback.web.gateway import Gateway


class GatewayCollector(LoopCollector):
    """All metrics of one gateway. Create it in the event loop of the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway

    async def read(self, lag: float) -> list[Family]:
        """All metric families."""
        counts, streams = self._gateway.counts, self._gateway.streams
        return [
            gauge(c.READY, float(not streams.draining)),
            gauges(c.STREAMS, {(kind,): n for kind, n in streams.by_kind().items()}),
            counter(c.REFUSED, {(kind, reason): n for (kind, reason), n in counts.refused.items()}),
            counter(c.MESSAGES, {(direction,): n for direction, n in counts.messages.items()}),
            counter(c.SIGN_INS, {(result,): n for result, n in counts.sign_ins.items()}),
            counter(c.CALLS, {(method, code): n for (method, code), n in counts.calls.items()}),
            histogram(c.CALL_SECONDS, {(method,): found for method, found in counts.seconds.items()}),
        ]
