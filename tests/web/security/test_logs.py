"""Nothing that signs a person in is in a log line, at any level, or in an address."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.browsers import Browser, new_key
from tests.support.service import ServiceWorld
from tests.support.token_files import TokenFile
from tests.support.web import gateway_for
from tests.web.security.test_sign_out import close_of, page


async def test_no_log_line_has_a_token_a_cookie_or_the_id_of_a_session(
    guarded: ServiceWorld, people: TokenFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = tmp_path / "keys"
    keys.write_text(new_key())
    async with gateway_for(guarded, names=False, session_keys=str(keys)) as web:
        browser = Browser(web)
        await browser.sign_in("mistyped-token")
        await browser.sign_in("ana-token")
        cookie = browser.cookie.partition("=")[2]
        session = web.gateway.cookies.open(cookie)
        assert session is not None
        await browser.session()
        await browser.call("HitlService/ListPrompts")
        await browser.call("HitlService/GetPrompt")
        await browser.get("/events/jobs")
        async with page(browser):
            pass
        program = Browser(web)
        await program.call("HitlService/ListPrompts", authorization="Bearer ana-token")
        await program.call("HitlService/ListPrompts", authorization="Bearer mistyped-token")
        await program.post("/session?token=ana-token", {"token": "ana-token"}, origin="null")
        await browser.call("HitlService/ListPrompts", cookie=f"askback-dev={cookie[:-5]}")
        copy = Browser(web)
        copy.cookie = browser.cookie
        async with page(copy) as socket:
            await browser.post("/session/end")
            assert (await close_of(socket))[0] == 4401
        await copy.call("HitlService/ListPrompts")
    ours = [record for record in caplog.records if record.name != "websockets.client"]  # the test's own
    lines = [f"{record.name} {record.getMessage()} {vars(record)}" for record in ours]
    assert len(lines) > 20
    secrets = ("ana-token", "mistyped-token", cookie[:60], cookie[-60:], session.session_id, keys.read_text())
    for secret in secrets:
        assert [line for line in lines if secret in line] == [], secret
