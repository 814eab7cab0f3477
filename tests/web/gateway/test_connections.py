"""Connections whose other side does nothing, and requests that must change nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from askback.v1.prompt_pb2 import PromptContent
from askback.web.app import PAGES
from askback.web.contract import METHODS
from askback.web.settings import WebLimits
from tests.support.refusals import SOON
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.waiting import until
from tests.support.web import WebWorld, gateway_for, slow_socket_of
from tests.web.gateway.test_converse_socket import HELLO, Page


async def test_a_connection_without_a_request_is_closed(
    web: WebWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askback.web.http_server.HEAD_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: ")
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), SOON) == b""


async def test_a_body_that_does_not_arrive_is_refused(lite: ServiceWorld) -> None:
    async with gateway_for(lite, limits=WebLimits(body_seconds=0.2)) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        head = f"POST /askback.v1.JobService/GetJob HTTP/1.1\r\nhost: 127.0.0.1:{web.port}\r\n"
        head += "content-type: application/json\r\naskback-user: ana\r\ncontent-length: 10\r\n\r\n{"
        writer.write(head.encode())
        reply = await asyncio.wait_for(reader.readline(), SOON)
        assert b"408" in reply
        writer.transport.abort()


def large_prompt() -> PromptContent:
    content = confirm("Large?")
    content.body = "x" * 60_000
    return content


async def test_a_socket_without_pongs_is_closed(lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that sleeps: its connection stays open, and nothing comes back."""
    monkeypatch.setattr("askback.web.http_server.CLOSE_SECONDS", 0.2)
    for _ in range(150):
        await lite.create_prompt(large_prompt())
    limits = WebLimits(ping_seconds=2.0, slow_seconds=1000.0)
    async with gateway_for(lite, limits=limits) as web, slow_socket_of(web.port) as socket:
        # The snapshot is more than the buffers hold: a connection with unsent data does not end by itself.
        socket.transport.pause_reading()
        await Page(socket).send(HELLO)
        await until(lambda: lite.service.replica.streams)
        await until(lambda: not len(web.gateway.streams))


async def test_a_socket_with_pongs_stays_open(lite: ServiceWorld) -> None:
    """For longer than the time for a pong: three pings, of which each comes after the pong of the last."""
    async with gateway_for(lite, limits=WebLimits(ping_seconds=1.0)) as web, web.open() as socket:
        own, pings = socket.protocol.recv_frame, 0

        def recv_frame(frame: Frame) -> None:
            nonlocal pings
            pings += frame.opcode is Opcode.PING
            own(frame)

        socket.protocol.recv_frame = recv_frame  # type: ignore[method-assign]
        page = Page(socket)
        await page.send(HELLO)
        await page.event("caughtUp")
        await until(lambda: pings == 3)
        await lite.create_prompt()
        await page.event("upserted")
        assert len(web.gateway.streams) == 1


def rows(lite: ServiceWorld) -> list[tuple[object, ...]]:
    """The rows of jobs, prompts, answers and events."""
    path = Path(lite.service.config.db.partition(":///")[2])
    tables = ("jobs", "hitl_interactions", "hitl_answers", "job_events", "deep_understanding_state")
    with closing(sqlite3.connect(path)) as database:
        return [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]


async def test_no_get_changes_anything(web: WebWorld, lite: ServiceWorld) -> None:
    """Previews of links and scanners of mail fetch every address that they find."""
    prompt = await lite.create_prompt()
    before = rows(lite)
    paths = [
        *(page.replace("{id}", prompt.prompt_id) + "?decision=ACCEPT&answer=yes" for page in PAGES),
        *(f"{path}?promptId={prompt.prompt_id}&decision=DECISION_ACCEPT&answerId=1" for path in METHODS),
        *("/assets/index.html", "/healthz", "/readyz", "/openapi.json", "/session", "/session/end"),
        "/manifest.webmanifest",
    ]
    for path in paths:
        for method in ("GET", "HEAD"):
            await web.request(method, path, askback_user="ana")
    for path in ("/events/prompts", "/events/jobs", f"/events/jobs/{prompt.job_id}"):
        async with web.events(path) as reader:
            await reader.block()
    assert rows(lite) == before
    assert before


async def test_the_shell_of_the_page_is_the_same_for_every_path(web: WebWorld) -> None:
    shells = {(await web.request("GET", page.replace("{id}", "x"))).body for page in PAGES}
    assert len(shells) == 1


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""What a browser sends from its address bar."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/nowhere", "/jobs/1/2", "/prompts", "/Jobs", "/sessions", "/askbacks"])
async def test_a_browser_at_an_unknown_path_gets_the_page(shared_web: WebWorld, path: str) -> None:
    """Which says that there is no such page; with the status 404, for monitors. A program gets JSON."""
    shown = await shared_web.request("GET", path, accept=BROWSER)
    assert (shown.status, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert shown.body == (await shared_web.request("GET", "/")).body
    assert shown.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for accept in ("*/*", "application/json"):
        reply = await shared_web.request("GET", path, accept=accept)
        assert (reply.status, reply.json["code"]) == (404, "unimplemented")
    assert (await shared_web.request("POST", path, b"{}", accept=BROWSER)).json["code"] == "unimplemented"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "path",
    [
        "/events/nowhere",
        "/session/nowhere",
        "/converse",
        "/converse/x",
        "/healthz/x",
        "/openapi.json/x",
        "/askback.v1.HitlService/Nothing",
        "/askback.v2.HitlService/ListPrompts",
        "/assets/x/y",
    ],
)
async def test_an_unknown_path_for_programs_is_no_page_for_browsers_either(
    shared_web: WebWorld, path: str
) -> None:
    reply = await shared_web.request("GET", path, accept=BROWSER)
    assert reply.headers["content-type"] == "application/json"
    assert reply.status in (404, 405)


async def test_files_are_cached_by_the_version_of_the_page_alone(web: WebWorld) -> None:
    web.gateway.assets.version = "0123456789abcdef"
    fixed = await web.request("GET", "/assets/index.html?v=0123456789abcdef")
    assert "immutable" in fixed.headers["cache-control"]
    for query in ("?v=", "?v=0000000000000000", "?v=0123"):
        other = await web.request("GET", f"/assets/index.html{query}")
        assert (other.status, other.headers["cache-control"]) == (404, "no-store"), query
    checked = await web.request("GET", "/assets/index.html")
    assert checked.headers["cache-control"] == "no-cache"
    again = await web.request("GET", "/assets/index.html", if_none_match=checked.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    missing = await web.request("GET", "/assets/nothing.js?v=0000000000000000")
    assert (missing.status, missing.headers["cache-control"]) == (404, "no-store")
