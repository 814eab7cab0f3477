"""Log lines: each record is one complete line with the ids of its objects."""

import json
import logging
import sys
from datetime import datetime
from typing import Any

import grpc
import pytest

from askback_server.domain.principals import Principal
from askback_server.structured_logs import JsonLines, TextLines, add_request_id
from askback_server.transport.call_context import CURRENT, CallContext
from askback_server.transport.call_ends import is_worth_a_line


def record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, message, args, None, extra=extra)
    add_request_id(made)
    return made


def test_any_record_is_one_line_of_json() -> None:
    line = JsonLines().format(record("a\nb %s", "\u2028\x85\x00ü", job_id="j\n1", odd=object()))
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert found["message"] == "a\nb \u2028\x85\x00ü"
    assert (found["job_id"], found["level"], found["logger"]) == ("j\n1", "INFO", "x")


def test_a_traceback_is_part_of_its_json_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        made = record("it broke")
        made.exc_info = sys.exc_info()
    found = json.loads(JsonLines().format(made))
    assert found["exception"].endswith("ValueError: first\nsecond")


def test_a_callers_text_cannot_begin_a_log_line() -> None:
    line = TextLines().format(record("ended", job_id="x\n12:00:00 CRITICAL forged", n=3))
    assert "\n" not in line
    assert line.endswith(r" job_id='x\n12:00:00 CRITICAL forged' n=3")


def test_a_text_line_begins_with_date_time_and_zone() -> None:
    made = record("ready")
    time, level, _ = TextLines().format(made).split(maxsplit=2)
    assert level == "INFO"
    assert datetime.fromisoformat(time).timestamp() == pytest.approx(made.created, abs=0.001)


def test_a_text_line_does_not_repeat_values_of_its_message() -> None:
    extra = {"method": "/a/B", "code": "NOT_FOUND", "subject": "ana"}
    line = TextLines().format(record("%s %s", "/a/B", "NOT_FOUND", **extra))
    assert line.endswith("x: /a/B NOT_FOUND subject=ana")
    found = json.loads(JsonLines().format(record("%s %s", "/a/B", "NOT_FOUND", **extra)))
    assert (found["method"], found["code"]) == ("/a/B", "NOT_FOUND")


def test_log_lines_of_a_call_carry_its_request_id() -> None:
    assert not hasattr(record("outside"), "request_id")
    token = CURRENT.set(CallContext("/a/B", "req-7", Principal("ada")))
    try:
        assert json.loads(JsonLines().format(record("inside")))["request_id"] == "req-7"
        assert json.loads(JsonLines().format(record("own", request_id="mine")))["request_id"] == "mine"
    finally:
        CURRENT.reset(token)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (grpc.aio.BaseError("the peer is gone"), False),
        (grpc.aio.InternalError("the peer is gone"), False),
        (grpc.aio.UsageError("ours"), True),
        (ValueError("ours"), True),
        (None, True),
    ],
)
def test_a_disconnected_peer_logs_no_traceback(error: BaseException | None, kept: bool) -> None:
    made = record("ExecuteBatchError raised in core by servicer method [/x]")
    made.exc_info = (type(error), error, None) if error is not None else None
    assert is_worth_a_line(made) is kept
