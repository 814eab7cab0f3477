"""Forged requests: what another web page makes a person's browser send changes nothing."""

from __future__ import annotations

import pytest
import pytest_asyncio

from askback.v1 import job_service_pb2 as jobs
from tests.support.browsers import Browser
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld

CREATE = ("JobService/CreateJob", {"jobType": "t"})
FORM = "application/x-www-form-urlencoded"

FORGED: dict[str, dict[str, str | None]] = {
    "no content type": {"content_type": None},
    "a form": {"content_type": FORM},
    "a form with a file": {"content_type": "multipart/form-data; boundary=x"},
    "plain text that is JSON": {"content_type": "text/plain"},
    "plain text that mentions JSON": {"content_type": "text/plain; x=application/json"},
    "no header of our own": {"connect_protocol_version": None},
    "a wrong header of our own": {"connect_protocol_version": None, "x_askback": "0"},
    "a foreign origin": {"origin": "https://evil.test"},
    "a hidden origin": {"origin": "null"},
    "no origin": {"origin": None, "sec_fetch_site": None},
    "no origin, of another site": {"origin": None, "sec_fetch_site": "cross-site"},
    "another port of this machine": {"origin": "http://127.0.0.1:1", "sec_fetch_site": "same-site"},
    "the origin of https": {"origin": "https://127.0.0.1"},
    "our origin, but the browser says otherwise": {"sec_fetch_site": "cross-site"},
}
"""What differs from a request of the page. Each is one missing lock; all the others are right."""


@pytest.fixture
async def eve(web: WebWorld) -> Browser:
    """The browser of a person who may create jobs."""
    return await browser_of_eve(web)


@pytest_asyncio.fixture(loop_scope="module")
async def shared_eve(shared_web: WebWorld) -> Browser:
    return await browser_of_eve(shared_web)


async def browser_of_eve(web: WebWorld) -> Browser:
    browser = Browser(web)
    assert (await browser.sign_in("eve-token")).status == 200
    return browser


async def count_jobs(guarded: ServiceWorld) -> int:
    caller = guarded.with_token("eve-token")
    return len((await caller.jobs.ListJobs(jobs.ListJobsRequest())).jobs)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("how", FORGED)
async def test_a_request_without_one_of_the_locks_changes_nothing(
    shared_eve: Browser, shared_guarded: ServiceWorld, how: str
) -> None:
    before = await count_jobs(shared_guarded)
    answer = await shared_eve.call(*CREATE, **FORGED[how])
    assert answer.status in (403, 415), (how, answer.body)
    assert await count_jobs(shared_guarded) == before
    assert (await shared_eve.post("/session/end", **FORGED[how])).status == 403
    assert (await shared_eve.session())["signedIn"] is True, "and it does not sign the person out"
    assert (await shared_eve.call(*CREATE)).status == 200
    assert await count_jobs(shared_guarded) == before + 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("how", FORGED)
async def test_another_page_cannot_sign_a_person_in(shared_web: WebWorld, how: str) -> None:
    """Else the person would work under the attacker's name without noticing."""
    browser = Browser(shared_web)
    answer = await browser.post("/session", {"token": "eve-token"}, **FORGED[how])
    assert answer.status == 403
    assert not browser.set_cookie


@pytest.mark.asyncio(loop_scope="module")
async def test_the_header_of_the_page_is_as_good_as_that_of_connect(shared_eve: Browser) -> None:
    answer = await shared_eve.call(*CREATE, connect_protocol_version=None, x_askback="1")
    assert answer.status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_the_origin_may_be_left_out_if_the_browser_says_same_origin(shared_eve: Browser) -> None:
    assert (await shared_eve.call(*CREATE, origin=None)).status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_another_page_gets_no_leave_to_send_our_header(shared_eve: Browser) -> None:
    """The question that a browser asks before it sends another page's request with such a header."""
    answer = await shared_eve.send(
        "OPTIONS",
        "/askback.v1.JobService/CreateJob",
        origin="https://evil.test",
        access_control_request_method="POST",
        access_control_request_headers="content-type,connect-protocol-version",
    )
    assert answer.status >= 400
    assert [name for name in answer.headers if name.startswith("access-control")] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/session", "/events/prompts", "/events/jobs"])
@pytest.mark.parametrize(
    "changed",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
    ],
)
async def test_another_page_cannot_read_with_the_cookie(
    shared_ana: Browser, path: str, changed: dict[str, str | None]
) -> None:
    answer = await shared_ana.get(path, **changed)
    assert (answer.status, answer.reason) == (403, "ORIGIN")


async def test_a_program_needs_no_origin(web: WebWorld, guarded: ServiceWorld) -> None:
    """With a bearer token, which no browser sends by itself."""
    for origin in (None, "https://elsewhere.test"):
        program = Browser(web)
        answer = await program.call(
            *CREATE,
            authorization="Bearer eve-token",
            origin=origin,
            sec_fetch_site=None,
            connect_protocol_version=None,
        )
        assert answer.status == 200
    assert await count_jobs(guarded) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cookie_and_a_token_together_are_refused(shared_eve: Browser) -> None:
    answer = await shared_eve.call(*CREATE, authorization="Bearer eve-token")
    assert (answer.status, answer.reason) == (400, "TWO_CREDENTIALS")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scheme", ["Basic ZXZl", "Bearer", "Bearer ", "eve-token"])
async def test_another_authorization_is_refused(shared_web: WebWorld, scheme: str) -> None:
    answer = await Browser(shared_web).call(*CREATE, authorization=scheme)
    assert (answer.status, answer.reason) == (401, "SIGN_IN_REQUIRED")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "query", ["token=eve-token", "authorization=Bearer+eve-token", "access_token=eve-token"]
)
async def test_a_token_in_an_address_is_ignored(shared_web: WebWorld, query: str) -> None:
    browser = Browser(shared_web)
    answer = await browser.post(f"/askback.v1.JobService/CreateJob?{query}", {"jobType": "t"})
    assert (answer.status, answer.reason) == (401, "SIGN_IN_REQUIRED")
    assert (await browser.get(f"/session?{query}")).json["signedIn"] is False


async def test_no_get_changes_anything(eve: Browser, guarded: ServiceWorld) -> None:
    before = await count_jobs(guarded)
    for path in (
        "/askback.v1.JobService/CreateJob",
        '/askback.v1.JobService/CreateJob?message={"jobType":"t"}&encoding=json&connect=v1',
        "/session/end",
        "/prompts/x?decision=ACCEPT",
        "/",
    ):
        await eve.get(path.replace('"', "%22"))
    assert await count_jobs(guarded) == before
    assert (await eve.session())["signedIn"] is True


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_other_methods_are_refused(shared_ana: Browser, method: str) -> None:
    for path in ("/session", "/session/end", "/askback.v1.JobService/CreateJob"):
        status = (await shared_ana.send(method, path, **shared_ana.headers)).status
        assert status == (200 if (method, path) == ("HEAD", "/session") else 405), path
