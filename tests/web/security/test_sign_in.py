"""Signing in: by token, by name on loopback, and by a further method; what `/session` tells the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from askback.web import serve
from askback.web.app import create_app
from askback.web.gateway import Gateway
from askback.web.rate_limits import FAILED_SIGN_INS
from askback.web.sign_in import StartSession
from tests.support.browsers import Browser
from tests.support.service import ServiceWorld
from tests.support.token_files import TokenFile
from tests.support.web import WebWorld, gateway_for


async def test_a_person_signs_in_with_a_token(web: WebWorld) -> None:
    browser = Browser(web)
    before = await browser.session()
    assert before["signedIn"] is False
    assert before["signIn"] == ["token"]
    answer = await browser.sign_in("ana-token")
    assert answer.status == 200
    session = await browser.session()
    assert session == {**answer.json, "serverTime": session["serverTime"]}
    wanted = {
        "signedIn": True,
        "subject": "ana",
        "groups": ["desk"],
        "namespaces": ["default"],
        "roles": ["console"],
        "admin": False,
        "authentication": "AUTHENTICATION_TOKEN",
        "signIn": ["token"],
        "pageVersion": web.gateway.assets.version,
        "server": browser.origin,
    }
    assert {key: session[key] for key in wanted} == wanted
    ends = datetime.fromisoformat(session["expireTime"]) - datetime.fromisoformat(session["serverTime"])
    assert timedelta(hours=11, minutes=59) < ends <= timedelta(hours=12)
    assert (await browser.call("HitlService/ListPrompts")).status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_without_a_session_is_refused(shared_web: WebWorld) -> None:
    answer = await Browser(shared_web).call("HitlService/ListPrompts")
    assert (answer.status, answer.reason) == (401, "SIGN_IN_REQUIRED")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cookie", ["askback-dev=x", "askback-dev=", "__Host-askback=x", "other=1"])
async def test_a_wrong_cookie_is_no_session(shared_web: WebWorld, cookie: str) -> None:
    browser = Browser(shared_web)
    browser.cookie = cookie
    assert (await browser.call("HitlService/ListPrompts")).reason == "SIGN_IN_REQUIRED"
    assert (await browser.session())["signedIn"] is False


@pytest.mark.asyncio(loop_scope="module")
async def test_a_useless_cookie_is_removed(shared_web: WebWorld) -> None:
    browser = Browser(shared_web)
    await browser.get("/session", cookie="askback-dev=x")
    assert "Max-Age=0" in browser.set_cookie


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("token", ["wrong", "", "   ", "sch\u00f6n", "a\nb"])
async def test_a_wrong_token_starts_no_session(shared_web: WebWorld, token: str) -> None:
    browser = Browser(shared_web)
    answer = await browser.sign_in(token)
    assert answer.status == 401
    assert not browser.set_cookie


async def test_the_session_ends_with_the_token(web: WebWorld, people: TokenFile) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    people.write(ana={"expires": soon.isoformat()})
    browser = Browser(web)
    shown = (await browser.sign_in("ana-token")).json
    assert abs(datetime.fromisoformat(shown["expireTime"]) - soon) < timedelta(seconds=2)
    session = web.gateway.cookies.open(browser.cookie.partition("=")[2])
    assert session is not None
    assert abs(session.ends_at - soon.timestamp()) < 30, "the clocks are the same here"


async def test_a_token_that_is_too_long_for_a_cookie_is_refused(web: WebWorld, people: TokenFile) -> None:
    long = "x" * 3_500
    people.write(ana={"token": long})
    browser = Browser(web)
    answer = await browser.sign_in(long)
    assert (answer.status, answer.reason) == (400, "TOKEN_TOO_LONG")
    assert not browser.set_cookie


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 9_000,
        b'{"token": 1}',
        b'{"token": "a", "name": "b"}',
        b'{"name": "ana", "groups": "desk"}',
        b'{"name": "ana", "admin": true}',
        b'{"token": "' + b"x" * 20_000 + b'"}',
    ],
    ids=range(11),
)
async def test_a_body_of_another_shape_is_refused(shared_web: WebWorld, body: bytes) -> None:
    answer = await Browser(shared_web).post("/session", body)
    assert (answer.status, answer.reason) == (400, "BAD_SIGN_IN")


async def test_many_failed_attempts_are_refused_before_the_service_is_asked(
    web: WebWorld, guarded: ServiceWorld
) -> None:
    browser = Browser(web)
    for _ in range(FAILED_SIGN_INS.burst):
        assert (await browser.sign_in("wrong")).status == 401
    asked = guarded.service._server.calls.ended.total()  # type: ignore[union-attr]
    answer = await browser.sign_in("wrong")
    assert (answer.status, answer.reason) == (429, "RATE_LIMIT")
    assert int(answer.headers["retry-after"]) >= 1
    assert guarded.service._server.calls.ended.total() == asked  # type: ignore[union-attr]


async def test_behind_a_proxy_one_client_does_not_lock_out_the_others(web: WebWorld) -> None:
    for _ in range(FAILED_SIGN_INS.burst + 1):
        answer = await Browser(web).post("/session", {"token": "wrong"}, x_forwarded_for="10.9.9.9, 10.0.0.7")
    assert answer.status == 429
    for others in ("10.0.0.8", "10.0.0.7, 10.0.0.8", None, "not an address"):
        answer = await Browser(web).post("/session", {"token": "ana-token"}, x_forwarded_for=others)
        assert answer.status == 200, others


async def test_signing_in_does_not_use_up_attempts(web: WebWorld) -> None:
    for _ in range(FAILED_SIGN_INS.burst + 5):
        assert (await Browser(web).sign_in("ana-token")).status == 200


# --- names ---


async def test_on_loopback_without_authentication_people_sign_in_with_a_name(named_web: WebWorld) -> None:
    browser = Browser(named_web)
    assert (await browser.session())["signIn"] == ["name"]
    answer = await browser.sign_in(name=" ana ", groups=["desk", " ops "])
    assert answer.status == 200
    session = await browser.session()
    assert (session["subject"], session["groups"]) == ("ana", ["desk", "ops"])
    assert session["authentication"] == "AUTHENTICATION_NONE"


@pytest.mark.parametrize("name", ["", "  ", "sch\u00f6n", "a\nb", "x" * 9_000])
async def test_a_name_that_metadata_cannot_carry_is_refused(named_web: WebWorld, name: str) -> None:
    answer = await Browser(named_web).sign_in(name=name)
    assert (answer.status, answer.reason) == (400, "BAD_NAME")


async def test_a_service_without_authentication_takes_no_token(named_web: WebWorld) -> None:
    """It would believe each one, and take its owner for `anonymous`."""
    browser = Browser(named_web)
    answer = await browser.sign_in("ana-token")
    assert (answer.status, answer.reason) == (400, "WRONG_METHOD")
    assert not browser.set_cookie


async def test_a_service_with_authentication_takes_no_name(guarded: ServiceWorld) -> None:
    async with gateway_for(guarded, names=True) as web:
        browser = Browser(web)
        assert (await browser.session())["signIn"] == ["token"]
        assert (await browser.sign_in(name="ana")).status == 401
        assert not browser.set_cookie


async def test_a_gateway_for_tokens_refuses_names_and_their_cookies(named_web: WebWorld) -> None:
    """Also a cookie that it could open: from a time when names were allowed."""
    browser = Browser(named_web)
    await browser.sign_in(name="ana")
    named_web.gateway.callers.names = False
    for answer in (
        await browser.call("HitlService/ListPrompts"),
        await Browser(named_web).call("HitlService/ListPrompts", askback_user="ana"),
    ):
        assert (answer.status, answer.reason) == (401, "SIGN_IN_REQUIRED")
    assert (await Browser(named_web).sign_in(name="ana")).reason == "WRONG_METHOD"


# --- a further method: the seam for OpenID Connect ---


class ByCode:
    """A provider of one person, whose browser comes back with a code. It stands on another host name."""

    name = "code"

    def routes(self, start: StartSession) -> Sequence[BaseRoute]:
        async def leave(_: Request) -> Response:
            return RedirectResponse("https://provider.example/authorize", 303)

        async def come_back(request: Request) -> Response:
            token = {"one": "ana-token"}.get(request.query_params.get("code", ""), "wrong")
            cookie = await start((("authorization", f"Bearer {token}"),))
            return RedirectResponse("/", 303, {"set-cookie": cookie})

        return [Route("/session/code", leave), Route("/session/code/back", come_back)]


def use_method(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(gateway: Gateway) -> Any:
        return create_app(gateway, [ByCode()])

    monkeypatch.setattr(serve, "create_app", create)


async def test_a_further_method_plugs_in(guarded: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    use_method(monkeypatch)
    async with gateway_for(guarded, names=False) as web:
        browser = Browser(web)
        assert (await browser.session())["signIn"] == ["token", "code"]
        left = await browser.get("/session/code")
        assert left.headers["location"].startswith("https://provider.example")
        assert (await browser.get("/session/code/back?code=two")).status == 401
        assert not browser.cookie
        back = await browser.get("/session/code/back?code=one", sec_fetch_site="cross-site")
        assert (back.status, back.headers["location"]) == (303, "/")
        # The browser does not send the Strict cookie with this redirect; the page needs none.
        assert (await browser.get("/", cookie=None)).status == 200
        assert (await browser.session())["subject"] == "ana"


# --- host names ---


async def test_people_sign_in_at_each_host_name_of_the_page(guarded: ServiceWorld) -> None:
    origins = ("https://inbox.example", "https://inbox.example.org")
    async with gateway_for(guarded, names=False, public_origins=origins) as web:
        for origin, other in (origins, origins[::-1]):
            browser = Browser(web, origin)
            assert (await browser.sign_in("ana-token")).status == 200
            assert browser.set_cookie.startswith("__Host-askback=")
            assert (await browser.call("HitlService/ListPrompts")).status == 200
            # A browser would not send the cookie to the other host; the origin would be refused too.
            assert (await browser.post("/session/end", origin="https://inbox.example.net")).status == 403
            elsewhere = Browser(web, other)
            assert (await elsewhere.session())["signedIn"] is False


async def test_the_cookie_of_loopback_is_not_accepted_on_https(guarded: ServiceWorld) -> None:
    async with gateway_for(guarded, names=False) as plain:
        browser = Browser(plain)
        await browser.sign_in("ana-token")
        value = browser.cookie.partition("=")[2]
        keys = plain.gateway.cookies._keys
        async with gateway_for(guarded, names=False, public_origins=("https://inbox.example",)) as web:
            web.gateway.cookies._keys = keys
            for cookie in (f"askback-dev={value}", f"__Host-askback={value}"):
                there = Browser(web, "https://inbox.example")
                there.cookie = cookie
                assert (await there.call("HitlService/ListPrompts")).reason == "SIGN_IN_REQUIRED"
