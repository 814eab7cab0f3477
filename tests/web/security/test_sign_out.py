"""Signing out, and tokens that are removed: every copy of the cookie is worthless, and open pages end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from askback.web import session_cookie
from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import sign_outs
from tests.support.browsers import Browser, new_key
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld, serving
from tests.support.token_files import TokenFile
from tests.support.web import WebWorld, gateway_for

HELLO = json.dumps({"frames": [{"ref": "1", "hello": {}}]})


@asynccontextmanager
async def page(browser: Browser) -> AsyncIterator[Any]:
    """An open page: its socket has caught up."""
    async with browser.socket() as socket:
        await socket.send(HELLO)
        while "caughtUp" not in (message := await asyncio.wait_for(socket.recv(), SOON)):
            assert message
        yield socket


async def close_of(socket: Any) -> tuple[int, str]:
    """Code and text with which the gateway closes a socket."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(SOON):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


async def test_signing_out_ends_the_session(ana: Browser) -> None:
    answer = await ana.post("/session/end")
    assert (answer.status, answer.json["signedIn"]) == (200, False)
    assert "Max-Age=0" in ana.set_cookie
    assert ana.cookie == ""
    assert (await ana.session())["signedIn"] is False
    assert (await ana.post("/session/end")).status == 200, "again, without a session"


async def test_a_copy_of_the_cookie_is_worthless_after_the_sign_out(ana: Browser) -> None:
    copy = ana.cookie
    assert (await ana.call("HitlService/ListPrompts")).status == 200
    await ana.post("/session/end")
    thief = Browser(ana.web)
    thief.cookie = copy
    answer = await thief.call("HitlService/ListPrompts")
    assert (answer.status, answer.reason) == (401, "ERROR_REASON_SESSION_ENDED")
    assert thief.cookie == copy, "and it is not renewed"
    async with thief.socket() as socket:
        await socket.send(HELLO)
        assert (await close_of(socket))[0] == 4401
    assert (await thief.get("/events/prompts")).status == 401
    assert (await thief.session())["signedIn"] is False
    assert thief.cookie == ""


@pytest.mark.parametrize("database_kind", ["postgres", "sqlite"], indirect=True)
async def test_a_copy_is_worthless_at_another_gateway_and_replica(
    migrated_db_url: str, people: TokenFile, database_kind: str, tmp_path: Path
) -> None:
    """A gateway has no state, so it can only learn of the sign-out from the service."""
    keys = tmp_path / "keys"
    keys.write_text(new_key())
    options = {"names": False, "session_keys": str(keys), "public_origins": ("https://inbox.example",)}
    auth = {"auth": str(people.path)}
    async with serving(migrated_db_url, **auth) as first, gateway_for(first, **options) as here:
        several = database_kind == "postgres"
        other = serving(migrated_db_url, replica="r2", **auth) if several else _same(first)
        async with other as second, gateway_for(second, **options) as there:
            ana = Browser(here, "https://inbox.example")
            await ana.sign_in("ana-token")
            copy = Browser(there, "https://inbox.example")
            copy.cookie = ana.cookie
            async with page(copy) as socket:
                assert (await copy.call("HitlService/ListPrompts")).status == 200
                assert (await ana.post("/session/end")).status == 200
                assert (await close_of(socket)) == (4401, "you have signed out; sign in again")
            answer = await copy.call("HitlService/ListPrompts")
            assert answer.reason == "ERROR_REASON_SESSION_ENDED"
            # The token itself is not revoked.
            assert (await copy.sign_in("ana-token")).status == 200


@asynccontextmanager
async def _same(world: ServiceWorld) -> AsyncIterator[ServiceWorld]:
    yield world


async def test_the_other_sessions_of_a_person_go_on(ana: Browser) -> None:
    phone = Browser(ana.web)
    await phone.sign_in("ana-token")
    async with page(phone) as socket:
        await ana.post("/session/end")
        await socket.send(json.dumps({"frames": [{"ref": "2", "listPrompts": {}}]}))
        while '"ref"' not in (message := await asyncio.wait_for(socket.recv(), SOON)):
            assert message
    assert (await phone.session())["signedIn"] is True


async def test_another_persons_cookie_gives_that_persons_rights_only(ana: Browser) -> None:
    """There is nothing to mix up: who sends a cookie is who is in it."""
    bob = Browser(ana.web)
    await bob.sign_in("bob-token")
    assert (await bob.session())["subject"] == "bob"
    bob.cookie, ana.cookie = ana.cookie, bob.cookie
    assert (await bob.session())["subject"] == "ana"
    assert (await ana.session())["subject"] == "bob"


async def test_two_cookies_of_one_name_are_no_way_to_another_session(ana: Browser) -> None:
    """The gateway takes one of them; both are sealed, and neither gives more than its own session."""
    bob = Browser(ana.web)
    await bob.sign_in("bob-token")
    for pair in (f"{ana.cookie}; {bob.cookie}", f"{ana.cookie}; askback-dev=x"):
        found = (await ana.get("/session", cookie=pair)).json
        assert found.get("subject") in ("bob", None)


async def test_open_pages_end_when_their_token_is_removed(
    ana: Browser, people: TokenFile, web: WebWorld
) -> None:
    bob = Browser(web)
    await bob.sign_in("bob-token")
    async with (
        page(ana) as socket,
        page(bob) as other,
        web.events("/events/prompts", **events(ana)) as events_,
    ):
        people.write(without="ana")
        code, text = await close_of(socket)
        assert (code, "token is not known" in text) == (4401, True)
        last = {}
        while not events_.ended:
            last = await events_.block() or last
        assert "unauthenticated" in last.get("data", ""), last
        await other.send(json.dumps({"frames": [{"ref": "2", "listPrompts": {}}]}))
        assert await asyncio.wait_for(other.recv(), SOON)
    assert (await ana.call("HitlService/ListPrompts")).status == 401
    assert (await ana.session())["signedIn"] is False
    assert ana.cookie == ""


def events(browser: Browser) -> dict[str, str]:
    """The headers with which a browser opens an event stream."""
    return {"cookie": browser.cookie, "user": ""}


async def test_a_sign_out_that_cannot_be_stored_is_an_error(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session goes on, so the page must not show the opposite."""

    async def away(*_: Any) -> None:
        raise StorageUnavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(sign_outs.SignOutRows, "add", away)
        answer = await ana.post("/session/end")
        assert (answer.status, answer.reason) == (503, "ERROR_REASON_STORAGE_UNAVAILABLE")
    assert ana.cookie
    assert (await ana.session())["signedIn"] is True
    assert (await ana.post("/session/end")).status == 200


# --- time ---


async def test_a_session_is_renewed_while_it_is_used_and_ends_after_12_hours(ana: Browser) -> None:
    cookies = ana.web.gateway.cookies
    began = cookies.now()
    hours = 0.0
    cookies.now = lambda: began + hours * 3600
    while hours < 11.7:
        hours += 0.2
        before = ana.cookie
        assert (await ana.call("HitlService/ListPrompts")).status == 200, hours
        assert ana.cookie != before, "renewed"
    hours = 12.0
    assert (await ana.call("HitlService/ListPrompts")).reason == "SIGN_IN_REQUIRED"
    assert (await ana.session())["signedIn"] is False


async def test_a_session_that_is_not_used_for_15_minutes_ends(ana: Browser) -> None:
    cookies = ana.web.gateway.cookies
    began = cookies.now()
    cookies.now = lambda: began + session_cookie.IDLE_SECONDS
    assert (await ana.call("HitlService/ListPrompts")).reason == "SIGN_IN_REQUIRED"


async def test_keys_rotate_under_an_open_page(guarded: ServiceWorld, tmp_path: Path) -> None:
    """No one signs in again: the next reply brings a cookie of the new key, and then the old key may go."""
    keys, old, new = tmp_path / "keys", new_key(), new_key()
    keys.write_text(old)
    async with gateway_for(guarded, names=False, session_keys=str(keys)) as web:
        ana = Browser(web)
        await ana.sign_in("ana-token")
        before = ana.cookie
        async with page(ana) as socket:
            for content in (f"{new}\n{old}\n", f"{new}\n"):
                keys.write_text(content)
                web.gateway.cookies._keys._refresh()  # type: ignore[attr-defined]
                assert (await ana.call("HitlService/ListPrompts")).status == 200
            assert ana.cookie != before
            assert (await ana.call("HitlService/ListPrompts", cookie=before)).reason == "SIGN_IN_REQUIRED"
            await socket.send(json.dumps({"frames": [{"ref": "2", "listPrompts": {}}]}))
            assert await asyncio.wait_for(socket.recv(), SOON)


async def test_a_refused_call_renews_no_cookie(ana: Browser, people: TokenFile) -> None:
    cookies = ana.web.gateway.cookies
    began = cookies.now()
    cookies.now = lambda: began + 120
    people.write(without="ana")
    before = ana.cookie
    assert (await ana.call("HitlService/ListPrompts")).status == 401
    assert ana.cookie == before


async def test_an_open_page_ends_with_its_session(web: WebWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing renews the absolute end, so the socket is closed by then."""
    monkeypatch.setattr(session_cookie, "SESSION_SECONDS", 2.0)
    ana = Browser(web)
    await ana.sign_in("ana-token")
    async with page(ana) as socket:
        assert (await close_of(socket))[0] == 4401
