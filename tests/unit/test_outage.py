"""What the log says of a stream that breaks: a server that is away, and one that asked the stream to move."""

from __future__ import annotations

import re

import pytest

from askback._wire.outage import Outage
from askback.errors import Unavailable

LOST = Unavailable("connection refused")
MOVED = Unavailable("the server is draining", reason="ERROR_REASON_DRAINING")


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([LOST], ["INFO stream: the connection to here was lost and is back after N s: connection refused"]),
        ([MOVED], ["INFO stream: moved to another stream of here in N s: the server is draining"]),
        (
            [LOST, LOST, LOST],
            [
                "WARNING stream: no connection to the server here, trying again until there is one: "
                "connection refused",
                "WARNING stream: the server here is back after N s",
            ],
        ),
        (
            [MOVED, MOVED, LOST],
            [
                "WARNING stream: the server here is shutting down, trying again until another one is there: "
                "the server is draining",
                "WARNING stream: the server here is back after N s",
            ],
        ),
    ],
)
def test_an_outage_is_logged_as_what_it_is(
    errors: list[Unavailable], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "askback.stream")
    outage = Outage("stream", "here")
    for error in errors:
        outage.begin(error)
    outage.end()
    lines = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
    assert [re.sub(r"\d+\.\d s", "N s", line) for line in lines] == said
