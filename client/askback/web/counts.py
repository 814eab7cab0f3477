"""What a gateway counts since its start, in plain numbers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from askback._metrics.metric import Histogram
from askback.web.catalogue import CALL_SECONDS
from askback.web.contract import METHODS
from askback.web.refused import Refused


class Counts:
    """The counters. Those of open streams are in `OpenStreams`."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        """Messages of WebSockets, by direction: in, out."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Streams that were refused, by kind and reason."""
        self.sign_ins: Counter[str] = Counter()
        """Attempts to sign in, by result."""
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls by POST, by method and code."""
        self.seconds: dict[str, Histogram] = {}
        """Their durations by method."""

    @contextmanager
    def opening(self, kind: str) -> Iterator[None]:
        """Count a stream that is refused while it opens. Raises what is raised inside."""
        try:
            yield
        except Refused as refused:
            self.refused[kind, refused.reason] += 1
            raise

    @contextmanager
    def sign_in(self) -> Iterator[None]:
        """Count an attempt to sign in. Raises what is raised inside."""
        result = "accepted"
        try:
            yield
        except Refused as refused:
            result = refused.reason
            raise
        except grpc.aio.AioRpcError as error:
            result = error.code().name
            raise
        finally:
            self.sign_ins[result] += 1

    def count_call(self, path: str, code: grpc.StatusCode, began: float) -> None:
        """Count a call by POST that ended now, `began` being a time of `time.monotonic`."""
        method = path.removeprefix("/askback.v1.") if path in METHODS else "unknown"
        self.calls[method, code.name] += 1
        if method not in self.seconds:
            self.seconds[method] = Histogram(CALL_SECONDS.buckets)
        self.seconds[method].observe(time.monotonic() - began)
