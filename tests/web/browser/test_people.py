"""The list of people: for admins, with a search, groups that lead to their people, and pages."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, expect

from askback.v1 import access_service_pb2 as pb
from tests.support.browser import Inbox, axe, live
from tests.support.token_files import TokenFile


@pytest_asyncio.fixture(loop_scope="session")
async def admins(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> AsyncIterator[Inbox]:
    """An inbox of a service with an admin, `root`, and a person, `ana`."""
    people = TokenFile(tmp_path / "tokens.toml", root={"roles": ["admin"]}, ana={"groups": ["ops"]})
    async with open_inbox(people) as opened:
        await opened.world.service.replica.directory.write()
        yield opened


async def set_person(inbox: Inbox, subject: str, **fields: Any) -> None:
    root = inbox.world.with_token("root-token")
    await root.access.SetPerson(pb.SetPersonRequest(subject=subject, **fields))


async def open_people(inbox: Inbox, path: str = "/people") -> Page:
    page = await inbox.open_with_token("root", path)
    await live(page)
    return page


async def test_an_admin_sees_people_with_their_groups(admins: Inbox) -> None:
    await set_person(admins, "cy", display_name="Cy Young", email="cy@example.com", groups={"names": ["law"]})
    await set_person(admins, "eve", active=False)
    page = await open_people(admins, "/")
    await admins.world.service.replica.directory.write()
    await page.get_by_role("link", name="People").press("Enter")
    await expect(page).to_have_url(re.compile("/people$"))
    rows = page.locator("[data-person]")
    await expect(rows).to_have_text(
        [
            re.compile("ana.*ops.*Not seen yet", re.DOTALL),
            re.compile("Cy Young.*cy.*law.*cy@example.com", re.DOTALL),
            re.compile("root.*Seen", re.DOTALL),
        ]
    )
    await expect(page.get_by_role("status").filter(has_text="3 people")).to_be_visible()
    row = await rows.first.bounding_box()
    assert row is not None
    assert row["width"] > 0.6 * (await page.evaluate("innerWidth"))  # the list has the page for itself
    await page.get_by_label("Also people who are not active").check()
    await expect(page.locator('[data-person="eve"]')).to_contain_text("Not active")
    assert await axe(page) == []


async def test_the_list_is_searched_and_narrowed_by_keys(admins: Inbox) -> None:
    await set_person(admins, "cy", display_name="Cy Young", groups={"names": ["law"]})
    page = await open_people(admins)
    rows = page.locator("[data-person]")
    await expect(rows).to_have_count(3)
    await page.keyboard.press("/")
    await page.keyboard.type("YOU")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"/people\?q=YOU$"))
    await expect(page.locator("#people-search")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("zzz")
    await expect(page.get_by_text("No person passes the filters")).to_be_visible()
    assert await axe(page) == []
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Backspace")
    await expect(rows).to_have_count(3)
    await page.locator('[data-person="ana"]').get_by_role("link", name="ops").press("Enter")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"/people\?group=ops$"))
    await page.reload()
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Remove the filter Group ops").press("Enter")
    await expect(rows).to_have_count(3)


async def test_a_person_without_the_role_sees_no_people(admins: Inbox) -> None:
    page = await admins.open_with_token("ana", "/people")
    await live(page)
    await expect(page.get_by_text("It needs the role admin")).to_be_visible()
    await expect(page.get_by_role("link", name="People")).to_have_count(0)


async def test_more_people_are_read_by_pages_on_a_phone(admins: Inbox) -> None:
    for number in range(203):
        await set_person(admins, f"p{number:03}", display_name="<b>P</b>\u202e" if number == 0 else "")
    context = await admins.context("", viewport={"width": 320, "height": 640}, locale="de-DE")
    await admins._begin_session(context, {"token": "root-token"})
    page = await admins.tab(context, "/people")
    await live(page)
    rows = page.locator("[data-person]")
    await expect(rows).to_have_count(200)
    await expect(page.locator('[data-person="p000"]')).to_contain_text("<b>P</b>")
    wide = "document.documentElement.scrollWidth > innerWidth"
    for width in (320, 390, 520, 800, 920, 1024, 1100, 1200):
        await page.set_viewport_size({"width": width, "height": 640})
        assert not await page.evaluate(wide), width
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await axe(page) == []
    await page.get_by_role("button", name="200 weitere zeigen").press("Enter")
    await expect(rows).to_have_count(205)
