"""What a real browser does: which requests carry the cookie, and what other pages can do with it.

`localhost` and `127.0.0.1` are two sites. Two ports of `127.0.0.1` are two origins of one site: the browser
sends the cookie from one to the other, so only the gateway's own locks protect it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from askback.v1 import job_service_pb2 as jobs
from tests.support.authority import Authority
from tests.support.browsers import Browser
from tests.support.chromium import launch_options
from tests.support.requirements import absent
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld, gateway_for
from tests.web.security.test_sign_in import use_method

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SLOW_MS = 120_000
"""How long a test waits for the page."""
SIGNED_IN = "async () => (await (await fetch('/session')).json()).signedIn"


@pytest.fixture
async def context() -> AsyncIterator[Any]:
    """A new profile of Chromium."""
    options = launch_options()
    try:
        from playwright.async_api import async_playwright
    except ModuleNotFoundError:
        absent("chromium", "the package playwright is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**options)
        context = await browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(SLOW_MS)
        yield context
        await browser.close()


@asynccontextmanager
async def other_page(html: str = "", *, location: str = "") -> AsyncIterator[int]:
    """A page of another origin, or a redirect, on a free port of every name of this machine."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = f"303 See Other\r\nlocation: {location}" if location else "200 OK"
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {len(html)}\r\n"
        writer.write(f"{head}connection: close\r\n\r\n{html}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, ["127.0.0.1", "::1"])
    await server.start_serving()
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    server = await asyncio.start_server(respond, ["127.0.0.1", "::1"], port)
    async with server:
        yield port


async def sign_in(context: Any, web: WebWorld, token: str, scheme: str = "http") -> Any:
    """A page of the gateway in the browser, signed in by its own request."""
    page = await context.new_page()
    await page.goto(f"{scheme}://127.0.0.1:{web.port}/")
    script = """async token => (await fetch('/session', {method: 'POST', body: JSON.stringify({token}),
        headers: {'content-type': 'application/json', 'x-askback': '1'}})).status"""
    assert await page.evaluate(script, token) == 200
    return page


async def test_the_browser_keeps_the_cookie_from_scripts_and_other_sites(context: Any, web: WebWorld) -> None:
    page = await sign_in(context, web, "ana-token")
    [cookie] = await context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("askback-dev", True, "Strict")
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate(SIGNED_IN) is True


async def test_on_https_the_cookie_has_its_prefix_and_the_socket_opens(
    context: Any, guarded: ServiceWorld, tmp_path: Path
) -> None:
    Authority().server().put(tmp_path)
    files = {"tls_cert": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}
    async with gateway_for(guarded, names=False, **files) as web:
        page = await sign_in(context, web, "ana-token", "https")
        [cookie] = await context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["path"]) == ("__Host-askback", True, "/")
        assert await page.evaluate(SIGNED_IN) is True
        opened = """async () => await new Promise(done => {
            const socket = new WebSocket(`wss://${location.host}/converse`, 'askback.v1')
            socket.onopen = () => { socket.close(); done(true) }; socket.onerror = () => done(false)
        })"""
        assert await page.evaluate(opened) is True
        headers = (await page.reload()).headers
        assert "strict-transport-security" not in headers, "it would hold for all ports of this machine"


async def test_a_link_on_another_site_opens_a_page_that_is_signed_in(context: Any, web: WebWorld) -> None:
    """The browser sends no Strict cookie with the link. The page needs none, and asks for its session."""
    await sign_in(context, web, "ana-token")
    async with other_page(f'<a href="http://127.0.0.1:{web.port}/prompts/1">the prompt</a>') as port:
        page = await context.new_page()
        await page.goto(f"http://localhost:{port}/")
        await page.click("a")
        await page.wait_for_url("**/prompts/1")
        assert await page.evaluate(SIGNED_IN) is True


async def test_people_sign_in_across_two_host_names(
    context: Any, guarded: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is on another site. No loop: the first page after it may be without the cookie."""
    use_method(monkeypatch)
    async with gateway_for(guarded, names=False) as web:
        here = f"http://127.0.0.1:{web.port}"
        async with other_page(location=f"{here}/session/code/back?code=one") as port:
            page = await context.new_page()
            await page.goto(f"http://localhost:{port}/")
            assert page.url == f"{here}/"
            assert await page.evaluate(SIGNED_IN) is True


ATTACK = """async port => {
    const here = `http://127.0.0.1:${port}`, call = `${here}/askback.v1.JobService/CreateJob`
    const body = JSON.stringify({jobType: 't'}), found = []
    const attempt = async (what, act) => {
        try { found.push([what, String(await act())]) } catch (error) { found.push([what, 'refused']) }
    }
    const post = (url, options) => fetch(url, {method: 'POST', body, credentials: 'include', ...options})
    const json = {'content-type': 'application/json'}
    await attempt('plain', async () => (await post(call, {mode: 'no-cors'})).type)
    await attempt('json', async () => (await post(call, {headers: json})).status)
    await attempt('ours', async () => (await post(call, {headers: {...json, 'x-askback': '1'}})).status)
    await attempt('out', async () => (await post(`${here}/session/end`, {mode: 'no-cors'})).type)
    await attempt('in', async () => (await post(`${here}/session`, {mode: 'no-cors'})).type)
    await attempt('read', async () => (await fetch(`${here}/session`, {credentials: 'include'})).status)
    await attempt('events', () => new Promise((resolve, reject) => {
        const events = new EventSource(`${here}/events/prompts`, {withCredentials: true})
        events.onopen = () => resolve('open'); events.onerror = reject
    }))
    await attempt('socket', () => new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/converse`, 'askback.v1')
        socket.onopen = () => resolve('open'); socket.onerror = reject
    }))
    return Object.fromEntries(found)
}"""
FORM = """<form method="post" enctype="text/plain" action="http://127.0.0.1:%d/askback.v1.JobService/CreateJob">
<input name='{"jobType": "t", "x": "' value='"}'></form>"""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_another_page_can_do_nothing_with_a_persons_cookie(
    context: Any, web: WebWorld, guarded: ServiceWorld, name: str
) -> None:
    page = await sign_in(context, web, "eve-token")
    async with other_page(FORM % web.port) as port:
        foreign = await context.new_page()
        await foreign.goto(f"http://{name}:{port}/")
        found = await foreign.evaluate(ATTACK, web.port)
        # The first ones are sent, with the cookie if it is the same site; the gateway refuses them.
        names = ("plain", "json", "ours", "out", "in", "read", "events", "socket")
        assert found == dict.fromkeys(names, "refused")
        frame = await foreign.evaluate_handle(
            "port => { const f = document.createElement('iframe'); f.src = `http://127.0.0.1:${port}/`;"
            " document.body.append(f); return new Promise(done => { f.onload = () => done(f) }) }",
            web.port,
        )
        inner = await (await frame.as_element().content_frame()).evaluate("location.href")
        assert inner.startswith("chrome-error:"), "the page is in no frame"
        await foreign.evaluate("document.forms[0].submit()")
        await foreign.wait_for_url("**/askback.v1.JobService/CreateJob")
    caller = guarded.with_token("eve-token")
    assert len((await caller.jobs.ListJobs(jobs.ListJobsRequest())).jobs) == 0
    assert await page.evaluate(SIGNED_IN) is True


async def test_no_injected_text_becomes_a_script(context: Any, web: WebWorld) -> None:
    """The policy stops inline scripts, event handlers, `eval`, other hosts, and strings as HTML."""
    page = await context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    await page.goto(f"http://127.0.0.1:{web.port}/")
    assert messages == [], "the headers name only what the browser knows"
    found = await page.evaluate(
        """async () => {
            const blocked = [], done = {}
            document.addEventListener('securitypolicyviolation', e => blocked.push(e.effectiveDirective))
            const script = document.createElement('script')
            try { script.text = 'window.ran = true' } catch { done.text = 'refused' }
            const html = '<img src=x onerror="window.ran = true">'
            try { document.body.innerHTML = html } catch { done.html = 'refused' }
            const image = new Image(); image.src = 'https://evil.test/x.png'; document.body.append(image)
            await fetch('https://evil.test/').catch(() => { done.fetch = 'refused' })
            document.body.append(Object.assign(document.createElement('p'), {textContent: 'x'}))
            document.querySelector('p').setAttribute('style', 'color: red')
            await new Promise(resolve => setTimeout(resolve))
            return {ran: !!window.ran, done, blocked: [...new Set(blocked)].sort()}
        }"""
    )
    assert found["ran"] is False
    assert found["done"] == {"text": "refused", "html": "refused", "fetch": "refused"}
    assert {"connect-src", "img-src", "require-trusted-types-for", "style-src-attr"} <= set(found["blocked"])


async def test_an_event_source_of_an_ended_job_stops(context: Any, web: WebWorld) -> None:
    """It reads to the end, comes back once with its position, and is then closed for good."""
    browser = Browser(web)
    await browser.sign_in("eve-token")
    job = (await browser.call("JobService/CreateJob", {"jobType": "t"})).json["job"]["jobId"]
    await browser.call("JobService/CancelJob", {"jobId": job})
    page = await sign_in(context, web, "eve-token")
    statuses: list[int] = []
    page.on("response", lambda reply: statuses.append(reply.status) if "/events/" in reply.url else None)
    follow = """async id => await new Promise(done => {
        const source = new EventSource(`/events/jobs/${id}`), seen = []
        source.onmessage = event => seen.push(event.lastEventId)
        source.onerror = () => source.readyState === EventSource.CLOSED && done(seen)
    })"""
    assert await page.evaluate(follow, job) == ["2"]
    assert statuses == [200, 204]


async def test_signing_out_in_one_tab_signs_out_the_other(context: Any, web: WebWorld) -> None:
    first = await sign_in(context, web, "ana-token")
    second = await context.new_page()
    await second.goto(f"http://127.0.0.1:{web.port}/")
    assert await second.evaluate(SIGNED_IN) is True
    script = """async () => (await fetch('/session/end', {method: 'POST', body: '{}',
        headers: {'content-type': 'application/json', 'x-askback': '1'}})).status"""
    assert await first.evaluate(script) == 200
    assert await second.evaluate(SIGNED_IN) is False


async def test_the_browser_of_the_tests_and_a_real_one_send_the_same(context: Any, web: WebWorld) -> None:
    """`Browser` stands for a real one in the other tests, so its headers must be those of Chromium."""
    page = await sign_in(context, web, "ana-token")
    async with page.expect_request("**/session") as sent:
        await page.evaluate(
            """() => fetch('/session', {method: 'POST', body: '{}',
            headers: {'content-type': 'application/json', 'connect-protocol-version': '1'}})"""
        )
    real = await (await sent.value).all_headers()
    imitated = Browser(web).headers
    assert {name: real.get(name) for name in imitated} == imitated
