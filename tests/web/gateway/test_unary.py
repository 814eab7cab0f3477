"""Unary calls over plain POST, as Connect clients make them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from askback.v1 import hitl_service_pb2 as hitl
from askback.web.connect_errors import HTTP_STATUS
from askback.web.contract import METHODS
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld

UNARY = [path.removeprefix("/askback.v1.") for path, method in METHODS.items() if not method.streaming]
STREAMS = [path.removeprefix("/askback.v1.") for path, method in METHODS.items() if method.streaming]
CONNECT_CODES = {name.name.lower() for name in grpc.StatusCode} - {"ok", "cancelled"} | {"canceled"}


def test_each_service_of_the_contract_is_passed_on() -> None:
    protos = (Path(__file__).parents[3] / "protos/askback/v1").glob("*.proto")
    defined = {
        name for path in protos for name in re.findall(r"^service (\w+)", path.read_text(), re.MULTILINE)
    }
    assert {path.split("/")[1].removeprefix("askback.v1.") for path in METHODS} == defined


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_is_created_and_its_prompt_answered(shared_web: WebWorld) -> None:
    content = {"title": "Deploy?", "kind": "confirm", "decisions": [{"decision": "DECISION_ACCEPT"}]}
    created = await shared_web.call("JobService/CreateJob", {"jobType": "t", "prompt": content})
    assert created.status == 200, created.json
    assert created.headers["content-type"] == "application/json"
    prompt = created.json["prompt"]
    assert prompt["version"] == str(int(prompt["version"])), "an int64 is a string"
    answer = {
        "promptId": prompt["promptId"],
        "answerId": "a1",
        "revision": prompt["revision"],
        "decision": "DECISION_ACCEPT",
    }
    result = (await shared_web.call("HitlService/AnswerPrompt", answer)).json["result"]
    assert result["status"] == "ANSWER_STATUS_ACCEPTED"
    assert result["prompt"]["resolution"]["answer"]["userId"] == "ana"
    again = await shared_web.call("HitlService/AnswerPrompt", answer)
    assert again.json["result"]["replayed"] is True


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", UNARY)
async def test_each_unary_method_answers_as_the_service_does(
    shared_web: WebWorld, shared_lite: ServiceWorld, method: str
) -> None:
    """The empty request: most methods refuse it, and the gateway must have their own words."""
    found = METHODS[f"/askback.v1.{method}"]
    stub = shared_lite.channel.unary_unary(
        found.path,
        request_serializer=found.request.SerializeToString,
        response_deserializer=found.response.FromString,
    )
    wait: dict[str, Any] = {"workerId": "w", "jobTypes": ["none"]} if method.endswith("LeaseJobs") else {}
    try:
        await stub(found.request(**_snake(wait)), metadata=(("askback-user", "ana"),), timeout=10)
        expected = grpc.StatusCode.OK
        words = ""
    except grpc.aio.AioRpcError as error:
        expected, words = error.code(), error.details() or ""
    reply = await shared_web.call(method, wait)
    if expected is grpc.StatusCode.OK:
        assert reply.status == 200, reply.json
        return
    assert reply.status == HTTP_STATUS[expected]
    assert reply.json["code"] == expected.name.lower()
    assert reply.json["message"] == words
    assert reply.reason.startswith("ERROR_REASON_")
    assert reply.headers["askback-request-id"]


def _snake(fields: dict[str, Any]) -> dict[str, Any]:
    return {{"workerId": "worker_id", "jobTypes": "job_types"}[key]: value for key, value in fields.items()}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_details_of_an_error_can_be_read_with_and_without_protobuf(
    shared_web: WebWorld, shared_lite: ServiceWorld
) -> None:
    prompt = await shared_lite.create_prompt()
    answer = {"promptId": prompt.prompt_id, "answerId": "a1", "revision": 7, "decision": "DECISION_ACCEPT"}
    reply = await shared_web.call("HitlService/AnswerPrompt", answer)
    assert (reply.status, reply.json["code"]) == (409, "aborted")
    details = {detail["type"]: detail for detail in reply.json["details"]}
    assert details["google.rpc.ErrorInfo"]["debug"]["reason"] == "ERROR_REASON_PROMPT_STALE"
    assert details["askback.v1.AnswerResult"]["debug"]["status"] == "ANSWER_STATUS_STALE"
    for name, cls in (
        ("google.rpc.ErrorInfo", error_details_pb2.ErrorInfo),
        ("askback.v1.AnswerResult", hitl.AnswerResult),
    ):
        raw = details[name]["value"]
        assert "=" not in raw
        cls.FromString(base64.b64decode(raw + "=" * (-len(raw) % 4)))


@pytest.mark.asyncio(loop_scope="module")
async def test_violations_are_in_the_details(shared_web: WebWorld) -> None:
    reply = await shared_web.call("HitlService/ListPrompts", {"pageSize": -1})
    assert reply.status == 400
    [bad] = [d["debug"] for d in reply.json["details"] if d["type"] == "google.rpc.BadRequest"]
    assert bad["fieldViolations"][0]["field"] == "page_size"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"content_type": "application/proto"}, 415, "CONTENT_TYPE"),
        ({"content_type": "application/connect+json"}, 415, "CONTENT_TYPE"),
        ({"content_type": "text/plain"}, 415, "CONTENT_TYPE"),
        ({"content_type": "application/json; charset=latin-1"}, 415, "CONTENT_TYPE"),
        ({"content_type": "application/json; charset=utf-8"}, 200, ""),
        ({"connect_protocol_version": "2"}, 400, "PROTOCOL_VERSION"),
        ({"content_encoding": "gzip"}, 501, "ENCODING"),
        ({"connect_timeout_ms": "12345678901"}, 400, "TIMEOUT"),
        ({"connect_timeout_ms": "-1"}, 400, "TIMEOUT"),
        ({"user": ""}, 401, "SIGN_IN_REQUIRED"),
    ],
)
async def test_a_head_that_is_wrong_is_refused_in_connects_form(
    shared_web: WebWorld, headers: dict[str, str], status: int, reason: str
) -> None:
    reply = await shared_web.call("AccessService/WhoAmI", **headers)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    if reason:
        assert reply.json["code"] in CONNECT_CODES
        assert reply.reason == reason


@pytest.mark.asyncio(loop_scope="module")
async def test_curl_needs_no_version_and_no_body(shared_web: WebWorld) -> None:
    reply = await shared_web.request(
        "POST", "/askback.v1.AccessService/WhoAmI", b"", content_type="application/json", askback_user="ana"
    )
    assert reply.json["subject"] == "ana"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_calls_a_method(shared_web: WebWorld, method: str) -> None:
    reply = await shared_web.request(method, "/askback.v1.JobService/GetJob?message=%7B%7D&encoding=json")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert reply.json["code"] == "unimplemented"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/askback.v1.JobService/Nothing", "/askback.v1.Nothing/GetJob", "/nothing"])
async def test_an_unknown_path_has_the_body_that_connect_clients_read(
    shared_web: WebWorld, path: str
) -> None:
    reply = await shared_web.request("POST", path, b"{}", content_type="application/json", askback_user="ana")
    assert (reply.status, reply.json["code"]) == (404, "unimplemented")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", STREAMS)
async def test_a_stream_is_not_spoken_over_post(shared_web: WebWorld, method: str) -> None:
    reply = await shared_web.call(method)
    assert (reply.status, reply.json["code"], reply.reason) == (501, "unimplemented", "STREAM")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_timeout_becomes_the_deadline_of_the_call(shared_web: WebWorld) -> None:
    waiting = {"workerId": "w", "jobTypes": ["none"], "wait": "20s"}
    reply = await shared_web.call("WorkerService/LeaseJobs", waiting, connect_timeout_ms="300")
    assert (reply.status, reply.json["code"]) == (504, "deadline_exceeded")


def head(web: WebWorld, method: str, size: str) -> bytes:
    """The head of a call, for a body that is sent by hand. `size` is a header."""
    lines = [
        f"POST /askback.v1.{method} HTTP/1.1",
        f"host: 127.0.0.1:{web.port}",
        "content-type: application/json",
        "askback-user: ana",
        size,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_a_caller_that_leaves_cancels_its_call(web: WebWorld, lite: ServiceWorld) -> None:
    """Otherwise a job could be leased to a worker that is gone."""
    body = json.dumps({"workerId": "w", "jobTypes": ["t"], "wait": "59s"})
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(head(web, "WorkerService/LeaseJobs", f"content-length: {len(body)}") + body.encode())
    server = lite.service._server
    assert server is not None
    from tests.support.waiting import until

    await until(lambda: server.calls.streams.total == 1)
    writer.transport.abort()
    await until(lambda: server.calls.streams.total == 0)
    await until(lambda: web.gateway.counts.calls["WorkerService/LeaseJobs", "CANCELLED"] == 1)
    assert reader is not None


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Failed to load JSON"),
        (b"[]", ""),
        (b"1", ""),
        (b"\xff\xfe", "UTF-8"),
        (b'{"nothing": 1}', "nothing"),
        (b'{"jobId": 5}', "jobId"),
        (b'{"jobId": "a", "jobId": "b"}', "duplicate"),
        (b'{"jobId": "\\ud800"}', ""),
        (b'{"job_id": ' + b"9" * 5000 + b"}", ""),
        (b"[" * 65, "deep"),
        (b'{"jobId": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (b'{"jobId": [' + b"1," * 30_000 + b"1]}", "values"),
    ],
)
async def test_a_body_that_is_no_message_is_refused(shared_web: WebWorld, body: bytes, words: str) -> None:
    reply = await shared_web.call("JobService/GetJob", body)
    assert (reply.status, reply.json["code"], reply.reason) == (400, "invalid_argument", "BAD_JSON")
    assert words in reply.json["message"]
    assert len(reply.json["message"]) < 500


@pytest.mark.asyncio(loop_scope="module")
async def test_brackets_in_texts_do_not_count(shared_web: WebWorld) -> None:
    text = '[[{"\\' * 1000
    reply = await shared_web.call(
        "JobService/CreateJob", {"jobType": "t", "inputJson": json.dumps({"a": text})}
    )
    assert reply.status == 200


@pytest.mark.parametrize("body", ["declared", "ends", "goes on"])
async def test_a_body_over_the_limit_is_refused(web: WebWorld, body: str) -> None:
    size = web.gateway.limits.body_bytes + 1
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    how = f"content-length: {size}" if body == "declared" else "transfer-encoding: chunked"
    writer.write(head(web, "JobService/GetJob", how))
    if body != "declared":
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(size // 0x10000 + 1):
            writer.write(chunk)
        if body == "ends":
            writer.write(b"0\r\n\r\n")
    reply = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert b"413" in reply.splitlines()[0]
    content = await asyncio.wait_for(reader.read(2000), 20)
    assert json.loads(content)["code"] == "resource_exhausted"
    writer.transport.abort()


async def test_a_service_that_is_away_is_unavailable_and_its_address_stays_inside(lite_url: str) -> None:
    from tests.support.ports import free_port
    from tests.support.web import gateway_for

    port = free_port()
    async with gateway_for(f"127.0.0.1:{port}") as web:
        reply = await web.call("JobService/ListJobs")
    assert (reply.status, reply.json["code"], reply.reason) == (503, "unavailable", "SERVICE_UNREACHABLE")
    assert str(port) not in reply.body.decode()
