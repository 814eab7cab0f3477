"""Handshakes of WebSockets: other pages, wrong hosts, and strangers get none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.browsers import Browser
from tests.support.web import WebWorld
from tests.web.security.test_origins import LOOK_ALIKES

HELLO = json.dumps({"frames": [{"ref": "1", "hello": {}}]})


async def refusal(socket: Any) -> str:
    """The reason for which a handshake is refused, or the code with which the socket is closed."""
    try:
        async with socket as opened:
            try:
                await opened.send(HELLO)
                await opened.recv()
            except ConnectionClosed as closed:
                return str(closed.rcvd and closed.rcvd.code)
    except InvalidStatus as refused:
        found = json.loads(refused.response.body)["details"][0]["debug"]["reason"]
        return f"{refused.response.status_code} {found}"
    return ""


async def test_the_page_gets_a_socket(ana: Browser) -> None:
    async with ana.socket() as socket:
        assert socket.subprotocol == "askback.v1"
        await socket.send(HELLO)
        [welcome] = json.loads(await socket.recv())["frames"][:1]
        assert "welcome" in welcome


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("origin", [text for text in LOOK_ALIKES if text and text.isascii()])
async def test_other_pages_get_none(shared_ana: Browser, origin: str) -> None:
    assert await refusal(shared_ana.socket(origin=origin)) == "403 ORIGIN"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_other_ports_and_schemes_of_this_machine_are_other_pages(
    shared_ana: Browser, name: str
) -> None:
    port = shared_ana.web.port
    for origin in (f"https://{name}:{port}", f"http://{name}:{port + 1}", f"http://{name}"):
        assert await refusal(shared_ana.socket(origin=origin)) == "403 ORIGIN"
    assert await refusal(shared_ana.socket(origin=f"http://{name}:{port}")) == ""


@pytest.mark.asyncio(loop_scope="module")
async def test_a_missing_origin_is_refused_with_a_cookie(shared_ana: Browser) -> None:
    for headers in ({}, {"sec-fetch-site": "same-origin"}):
        assert await refusal(shared_ana.socket(origin=None, headers=headers)) == "403 ORIGIN"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_foreign_page_does_not_learn_whether_its_visitor_is_signed_in(shared_ana: Browser) -> None:
    for cookie in (shared_ana.cookie, "", "askback-dev=x"):
        assert await refusal(shared_ana.socket(origin="https://evil.test", cookie=cookie)) == "403 ORIGIN"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cookie", ["", "askback-dev=x", "other=1"])
async def test_a_page_without_a_session_is_asked_to_sign_in(shared_ana: Browser, cookie: str) -> None:
    assert await refusal(shared_ana.socket(cookie=cookie)) == "4401"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_tampered_cookie_is_no_session(shared_ana: Browser) -> None:
    head, _, tail = shared_ana.cookie.rpartition(".")
    assert await refusal(shared_ana.socket(cookie=f"{head}.{'A' * len(tail)}")) == "4401"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("offered", [None, ["askback.v2"], ["chat"]])
async def test_another_subprotocol_is_a_page_that_is_too_old(shared_ana: Browser, offered: Any) -> None:
    assert await refusal(shared_ana.socket(subprotocols=offered)) == "4409"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1", "localhost.evil.test", "169.254.169.254"])
async def test_a_name_that_is_made_to_resolve_here_is_refused(shared_ana: Browser, host: str) -> None:
    """DNS rebinding: the browser sends the foreign name as Host, and the page is of that origin."""
    named = f"{host}:{shared_ana.web.port + 1}"
    assert await refusal(shared_ana.socket(origin=f"http://{named}", named=named)) == "403 HOST"
    for path in ("/", "/session", "/assets/app.js", "/events/prompts"):
        answer = await shared_ana.get(path, host=named)
        assert (answer.status, answer.reason) == (403, "HOST"), path
    assert (await shared_ana.get("/healthz", host="10.0.0.7")).status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_program_needs_a_token_and_no_origin(shared_web: WebWorld) -> None:
    program = Browser(shared_web)
    given = {"authorization": "Bearer ana-token"}
    for origin in (None, "https://elsewhere.test"):
        assert await refusal(program.socket(origin=origin, headers=given)) == ""
    wrong = {"authorization": "Bearer wrong"}
    assert await refusal(program.socket(origin=None, headers=wrong)) == "4401"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cookie_and_a_token_together_are_refused(shared_ana: Browser) -> None:
    socket = shared_ana.socket(headers={"authorization": "Bearer bob-token"})
    assert await refusal(socket) == "400 TWO_CREDENTIALS"


async def test_a_person_may_have_twenty_pages_open(ana: Browser) -> None:
    open_now = [await ana.socket() for _ in range(20)]
    bob = Browser(ana.web)
    await bob.sign_in("bob-token")
    again = Browser(ana.web)
    await again.sign_in("ana-token")
    assert await refusal(again.socket()) == "1013", "a second session is the same person"
    assert await refusal(bob.socket()) == ""
    await open_now.pop().close()
    assert await refusal(ana.socket()) == ""
    for socket in open_now:
        await socket.close()
