"""Every metric of the gateway. docs/reference/metrics.md is derived from this list."""

from __future__ import annotations

from askback._metrics.metric import Kind, Metric

STREAMS = Metric(
    "askback_web_streams_open",
    Kind.GAUGE,
    "Pages that are connected. `kind`: socket (a WebSocket), events (server-sent events).",
    labels=("kind",),
)
REFUSED = Metric(
    "askback_web_streams_refused",
    Kind.COUNTER,
    "Streams that were refused before they opened. `reason`: SIGN_IN_REQUIRED, ORIGIN, HOST, SUBPROTOCOL, "
    "RATE_LIMIT, TOO_MANY_SOCKETS, TOO_MANY_STREAMS, GATEWAY_DRAINING and others, as in the error.",
    labels=("kind", "reason"),
)
MESSAGES = Metric(
    "askback_web_messages",
    Kind.COUNTER,
    "Messages of WebSockets. `direction`: in (from pages), out.",
    labels=("direction",),
)
SIGN_INS = Metric(
    "askback_web_sign_ins",
    Kind.COUNTER,
    "Attempts to sign in. `result`: accepted; else the reason of the refusal, such as UNAUTHENTICATED or "
    "RATE_LIMIT.",
    labels=("result",),
)
CALLS = Metric(
    "askback_web_calls",
    Kind.COUNTER,
    "Unary calls over HTTP that ended. `code`: that of gRPC; CANCELLED if the client has gone.",
    labels=("method", "code"),
)
CALL_SECONDS = Metric(
    "askback_web_call_seconds",
    Kind.HISTOGRAM,
    "Duration of unary calls over HTTP, the service's time included.",
    labels=("method",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
READY = Metric("askback_web_ready", Kind.GAUGE, "1 while it takes pages, 0 once it drains.")

CATALOGUE: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""All metrics, in the order of the documentation."""
