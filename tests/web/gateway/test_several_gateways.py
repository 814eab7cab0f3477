"""Three gateways behind a round-robin proxy, and gateways and services that are killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from websockets.exceptions import WebSocketException

from askback.web import sign_in
from askback.web.sign_in import client_of
from tests.support.processes import Process, Processes, Server, eventually, quiet_port
from tests.support.proxies import Proxy
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.web import fetch, gateway_for, socket_of
from tests.web.gateway.test_converse_socket import HELLO, Page

PAGE = "docs/how-to/deploy-the-gateway.md"


@pytest.fixture(params=["nginx", "haproxy"])
async def proxy(
    request: pytest.FixtureRequest, lite: ServiceWorld, tmp_path: Path
) -> AsyncIterator[tuple[Proxy, list[Any]]]:
    """A proxy with the documented configuration, and the three gateways behind it."""
    async with AsyncExitStack() as stack:
        keys = tmp_path / "keys"
        keys.write_text("A" * 43 + "=\n")
        webs = []
        ports = {documented: quiet_port() for documented in (8081, 8082, 8083)}
        made = Proxy(str(request.param), tmp_path, page=PAGE, ports=ports)
        for port in ports.values():
            settings: dict[str, Any] = {"listen": f"127.0.0.1:{port}", "session_keys": str(keys)}
            settings["public_origins"] = (f"http://127.0.0.1:{made.port}",)
            webs.append(await stack.enter_async_context(gateway_for(lite, **settings)))
        await made.start()
        stack.push_async_callback(made.stop)
        yield made, webs


async def test_a_page_needs_no_gateway_of_its_own(proxy: tuple[Proxy, list[Any]], lite: ServiceWorld) -> None:
    """Signed in at one, each request and socket at another; a socket and an event stream pass the proxy."""
    made, webs = proxy
    headers = {"content_type": "application/json", "connect_protocol_version": "1"}
    headers["origin"] = f"http://127.0.0.1:{made.port}"
    signed = await fetch(made.port, "POST", "/session", json.dumps({"name": "ana"}), **headers)
    assert signed.status == 200, signed.body
    headers["cookie"] = signed.headers["set-cookie"].partition(";")[0]
    for _ in range(6):
        reply = await fetch(made.port, "POST", "/askback.v1.AccessService/WhoAmI", b"{}", **headers)
        assert reply.json["subject"] == "ana"
    async with AsyncExitStack() as stack:
        pages = []
        for _ in range(6):
            options = {"additional_headers": {"cookie": headers["cookie"]}}
            socket = await stack.enter_async_context(socket_of(made.port, "", **options))
            pages.append(Page(socket))
            await pages[-1].send(HELLO)
            await pages[-1].event("caughtUp")
        assert min(len(web.gateway.streams) for web in webs) >= 1, "round robin"
        prompt = await lite.create_prompt(confirm("Deploy?"))
        for page in pages:
            assert (await page.event("upserted"))["prompt"]["promptId"] == prompt.prompt_id


async def test_the_proxy_says_whose_attempt_it_is(
    proxy: tuple[Proxy, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed attempts are counted for each address: no client makes one up, and none shares the proxy's."""
    made, _ = proxy
    clients: list[str] = []

    def remember(request: Request) -> str:
        clients.append(client_of(request))
        return clients[-1]

    monkeypatch.setattr(sign_in, "client_of", remember)
    headers = {
        "content_type": "application/json",
        "x_askback": "1",
        "origin": f"http://127.0.0.1:{made.port}",
    }
    for address in ("10.9.8.7", ""):
        reply = await fetch(
            made.port, "POST", "/session", '{"name": "ana"}', x_forwarded_for=address, **headers
        )
        assert reply.status == 200
    assert clients == ["127.0.0.1 127.0.0.1"] * 2


class Console:
    """A page that reconnects until it is connected, as the real one does."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def prompts(self, wanted: set[str]) -> None:
        """Connect, again after each break, until the snapshot holds exactly these open prompts."""

        async def attempt() -> bool:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with socket_of(self._port) as socket, asyncio.timeout(5):
                    page = Page(socket)
                    await page.send(HELLO)
                    shown: set[str] = set()
                    while True:
                        event = await page.frame("promptEvent")
                        if "upserted" in event:
                            shown.add(event["upserted"]["prompt"]["promptId"])
                        elif "caughtUp" in event:
                            return shown == wanted
            return False

        await eventually(attempt, "the page shows the open prompts")


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_pages_recover_from_the_kill_of_gateway_and_service(tmp_path: Path) -> None:
    """Nothing is lost or doubled: the answer that was in flight is sent again under its id."""
    processes = Processes(tmp_path)
    try:
        server: Server = await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'db'}")
        port = quiet_port()
        gateway: Process = processes.askback(
            "gateway", "web", "--names", "--listen", f"127.0.0.1:{port}", ASKBACK_SERVER=server.target
        )
        await eventually(lambda: "serves the page" in gateway.out, "the gateway serves")
        headers = {"content_type": "application/json", "askback_user": "ana"}

        async def call(method: str, body: object) -> Any:
            while True:
                reply = await fetch(port, "POST", f"/askback.v1.{method}", json.dumps(body), **headers)
                if reply.status != 503:  # as the error says: a connection of the gateway is still in backoff
                    break
                await asyncio.sleep(0.05)
            assert reply.status == 200, reply.body
            return reply.json

        asked = {"title": "Deploy?", "kind": "confirm", "decisions": [{"decision": "DECISION_ACCEPT"}]}
        made = [
            (await call("JobService/CreateJob", {"jobType": "t", "prompt": asked}))["prompt"]
            for _ in range(3)
        ]
        ids = [prompt["promptId"] for prompt in made]
        answers = [
            {"promptId": i, "answerId": f"a-{i}", "revision": 1, "decision": "DECISION_ACCEPT"} for i in ids
        ]
        console = Console(port)
        await console.prompts(set(ids))

        async with socket_of(port) as socket:
            page = Page(socket)
            await page.send(HELLO)
            await page.event("caughtUp")
            await page.send({"ref": "2", "answerPrompt": answers[0]})
            gateway.kill()
            with suppress(WebSocketException):
                while True:
                    await socket.recv()
            assert socket.close_code == 1006
        gateway.start()
        await eventually(lambda: "serves the page" in gateway.out, "the gateway serves again")
        assert (await call("HitlService/AnswerPrompt", answers[0]))["result"][
            "status"
        ] == "ANSWER_STATUS_ACCEPTED"
        await console.prompts(set(ids[1:]))

        async with socket_of(port) as socket:
            page = Page(socket)
            await page.send(HELLO)
            await page.event("caughtUp")
            server.kill()
            assert (await page.closed())[0] == 1012
        down = await fetch(port, "POST", "/askback.v1.JobService/ListJobs", b"{}", **headers)
        assert (down.status, down.json["code"]) == (503, "unavailable")
        assert (await fetch(port, "GET", "/")).status == 200, "the page can say what is wrong"
        await server.serve()
        await console.prompts(set(ids[1:]))
        assert (await call("HitlService/AnswerPrompt", answers[1]))["result"][
            "status"
        ] == "ANSWER_STATUS_ACCEPTED"
        for answer in answers[:2]:
            stored = await call("HitlService/ListAnswers", {"promptId": answer["promptId"]})
            assert [found["answer"]["answerId"] for found in stored["answers"]] == [answer["answerId"]]
        await console.prompts({ids[2]})
    finally:
        processes.end()
