"""The headers that protect the page are on every response, whatever made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from askback.web.assets import Assets
from tests.support.browsers import Browser
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld, gateway_for

WANTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'none'"],
    "manifest-src": ["'self'"],
    "worker-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
    "require-trusted-types-for": ["'script'"],
    "trusted-types": ["'none'"],
}


def policy_of(headers: Mapping[str, str]) -> dict[str, list[str]]:
    directives = [each.split() for each in headers["content-security-policy"].split(";")]
    return {name: values for name, *values in directives}


def check(headers: Mapping[str, str], sockets: list[str], what: object) -> None:
    assert {name: headers.get(name) for name in WANTED} == WANTED, what
    assert policy_of(headers) == {**POLICY, "connect-src": ["'self'", *sockets]}, what
    assert "camera=()" in headers["permissions-policy"], what
    assert [name for name in headers if name.startswith("access-control")] == [], what
    assert "server" not in headers, what


def sockets_of(web: WebWorld) -> list[str]:
    return [f"ws://{name}:{web.port}" for name in ("127.0.0.1", "localhost")]


PAGES = (
    "/",
    "/prompts/1",
    "/prompts/1/",
    "/jobs",
    "/jobs/",
    "/jobs/1",
    "/overview",
    "/people",
    "/settings",
    "/sign-in",
)
ROUTES: list[tuple[str, str, int]] = [
    *(("GET", path, 200) for path in PAGES),
    ("GET", "/session", 200),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("POST", "/session/end", 200),
    ("POST", "/session", 400),
    ("POST", "/askback.v1.HitlService/ListPrompts", 200),
    ("POST", "/askback.v1.HitlService/GetPrompt", 400),
    ("POST", "/askback.v1.JobService/ListJobs", 403),
    ("GET", "/askback.v1.HitlService/ListPrompts", 405),
    ("POST", "/askback.v1.None/None", 404),
    ("GET", "/events/prompts?nonsense=1", 400),
    ("GET", "/none", 404),
    # Not a redirect: behind a proxy it would name http, and a token would follow it.
    ("POST", "/session/", 404),
    ("POST", "/askback.v1.HitlService/ListPrompts/", 404),
    ("GET", "/events/prompts/", 404),
    ("POST", "/", 405),
    ("GET", "/manifest.webmanifest", 200),
    ("GET", "/assets/none.js", 404),
    ("GET", "/assets/../../secret", 404),
    ("OPTIONS", "/session", 405),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path", "status"), ROUTES)
async def test_each_route_has_the_headers(shared_ana: Browser, method: str, path: str, status: int) -> None:
    answer = await shared_ana.send(method, path, {} if method == "POST" else None)
    assert answer.status == status, answer.body
    check(answer.headers, sockets_of(shared_ana.web), path)
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.asyncio(loop_scope="module")
async def test_refusals_before_the_application_have_them_too(shared_web: WebWorld) -> None:
    stranger = Browser(shared_web)
    for answer, status in (
        (await stranger.call("HitlService/ListPrompts"), 401),
        (await stranger.get("/", host="evil.test"), 403),
        (await stranger.post("/session", {"token": "x"}, origin="null"), 403),
        (await stranger.call("HitlService/ListPrompts", b"x" * (7 * 1024 * 1024)), 401),
    ):
        assert answer.status == status
        check(answer.headers, sockets_of(shared_web), status)
        assert answer.headers["cache-control"] == "no-store"


async def test_a_defect_has_the_headers_and_shows_nothing(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("secret text of a defect")

    monkeypatch.setattr(ana.web.gateway.upstream, "start", fail)
    monkeypatch.setattr(ana.web.gateway.requests, "count", lambda _: 1 / 0)
    answer = await ana.call("HitlService/ListPrompts")
    assert answer.status == 500
    check(answer.headers, sockets_of(ana.web), "a defect")
    assert b"secret" not in answer.body
    assert b"ZeroDivision" not in answer.body


@pytest.mark.asyncio(loop_scope="module")
async def test_event_streams_have_the_headers(shared_ana: Browser) -> None:
    async with shared_ana.web.events("/events/prompts", user="", cookie=shared_ana.cookie) as stream:
        lines = dict(line.split(": ", 1) for line in stream.head.splitlines()[1:] if line)
        assert lines["cache-control"] == "no-store"
        assert "default-src 'none'" in lines["content-security-policy"]
        assert lines["x-content-type-options"] == "nosniff"


async def test_accepted_and_refused_sockets_have_the_headers(
    ana: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    async with ana.socket() as socket:
        check(dict(lower(socket.response.headers)), sockets_of(ana.web), "accepted")
    for changed in (
        {"origin": "https://evil.test"},
        {"named": "evil.test"},
        {"headers": {"authorization": "x"}},
    ):
        with pytest.raises(InvalidStatus) as refused:
            await ana.socket(**changed)
        check(dict(lower(refused.value.response.headers)), sockets_of(ana.web), changed)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def lower(headers: Any) -> list[tuple[str, str]]:
    found = [(name.lower(), text) for name, text in headers.raw_items()]
    return [(name, text) for name, text in found if name != "server"]


async def test_only_files_of_the_page_may_be_stored(web: WebWorld) -> None:
    browser = Browser(web)
    for name in Assets()._files:
        answer = await browser.get(f"/assets/{name}")
        check(answer.headers, sockets_of(web), name)
        assert answer.headers["cache-control"] == "no-cache", name
        other = await browser.get(f"/assets/{name}?v=x")
        check(other.headers, sockets_of(web), name)
        assert other.headers["cache-control"] == "no-store", name


async def test_on_https_browsers_come_back_by_https_only(guarded: ServiceWorld) -> None:
    origins = ("https://inbox.example", "https://inbox.example:8443")
    async with gateway_for(guarded, names=False, public_origins=origins) as web:
        answer = await Browser(web, origins[0]).get("/")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        check(answer.headers, ["wss://inbox.example", "wss://inbox.example:8443"], "https")
