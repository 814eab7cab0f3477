"""Pages move between gateways: one stops while an answer is pressed, all three are replaced in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.processes import quiet_port
from tests.support.proxies import Proxy
from tests.support.requests import answer, confirm
from tests.support.site import write_keys
from tests.support.waiting import until
from tests.support.web import WebWorld, gateway_for

APPROVE = "[data-decision=DECISION_ACCEPT]"
GUIDE = "docs/how-to/deploy-the-gateway.md"


class Gateways:
    """Three gateways behind the documented nginx, each of which can be stopped and started again."""

    def __init__(self, inbox: Inbox, keys: Path, proxy: Proxy) -> None:
        self._desk = inbox
        self._keys = keys
        self._proxy = proxy
        self._stacks: dict[int, AsyncExitStack] = {}
        self.webs: dict[int, WebWorld] = {}

    async def start(self, port: int) -> None:
        """Start the gateway at a port."""
        stack = AsyncExitStack()
        settings = {"listen": f"127.0.0.1:{port}", "session_keys": str(self._keys), "drain_grace": 3.0}
        origins = (f"http://127.0.0.1:{self._proxy.port}",)
        made = gateway_for(self._desk.world, public_origins=origins, **settings)
        self.webs[port] = await stack.enter_async_context(made)
        self._stacks[port] = stack

    async def stop(self, port: int) -> None:
        """Drain the gateway at a port and stop it."""
        await self._stacks.pop(port).aclose()
        del self.webs[port]

    def holders(self) -> list[int]:
        """The ports of the gateways that hold a page."""
        return [port for port, web in self.webs.items() if len(web.gateway.streams)]


@pytest_asyncio.fixture(loop_scope="session")
async def gateways(inbox: Inbox, tmp_path: Path) -> AsyncIterator[Gateways]:
    """The gateways; the inbox opens its pages at the proxy."""
    ports = {documented: quiet_port() for documented in (8081, 8082, 8083)}
    proxy = Proxy("nginx", tmp_path, page=GUIDE, ports=ports)
    gateways = Gateways(inbox, write_keys(tmp_path), proxy)
    try:
        for port in ports.values():
            await gateways.start(port)
        await proxy.start()
        inbox.web = proxy
        inbox.complaints.allowed += ["ERR_", "WebSocket", "502", "503"]
        yield gateways
        await inbox.close()
    finally:
        for port in [*gateways.webs]:
            await gateways.stop(port)
        await proxy.stop()


async def answers(inbox: Inbox, prompt: prompts.Prompt) -> list[prompts.AnswerRecord]:
    """What was submitted to a prompt, refused answers included."""
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    return list((await inbox.world.hitl.ListAnswers(request)).answers)


async def rows(page: Page) -> set[str | None]:
    """The ids of the open rows; each is there once."""
    found = [await r.get_attribute("data-row") for r in await page.locator(".row:not(.is-closed)").all()]
    assert len(found) == len(set(found))
    return set(found)


async def test_a_page_moves_with_each_gateway_that_stops(inbox: Inbox, gateways: Gateways) -> None:
    """All three are replaced in turn; meanwhile prompts close and arrive, and the page stays exact."""
    world = inbox.world
    shown = await world.create_prompt(confirm("Shown?"))
    page = await inbox.open(path=f"/prompts/{shown.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("kept")
    waiting: list[prompts.Prompt] = []
    for n, port in enumerate([*gateways.webs] * 2):
        moves = port in gateways.holders()
        stopping = asyncio.create_task(gateways.stop(port))
        waiting.append(await world.create_prompt(confirm(f"New {n}")))
        if len(waiting) > 2:
            await world.as_user("ben").hitl.AnswerPrompt(answer(waiting.pop(0)))
        await stopping
        if moves:
            await until(lambda: bool(gateways.holders()))
        await live(page)
        await expect(page.locator('[data-view="all"] .count')).to_have_text(str(len(waiting) + 1))
        assert await rows(page) == {shown.prompt_id, *(prompt.prompt_id for prompt in waiting)}
        await gateways.start(port)
    await expect(page.locator("#comment")).to_have_value("kept")
    await settled(page)
    await page.locator(APPROVE).click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    assert len(await answers(inbox, shown)) == 1


async def test_an_answer_pressed_while_its_gateway_drains_counts_once(
    inbox: Inbox, gateways: Gateways
) -> None:
    world = inbox.world
    asked = [await world.create_prompt(confirm(f"Go {n}?")) for n in range(3)]
    page = await inbox.open()
    for prompt in asked:
        await page.locator(f'[data-open="{prompt.prompt_id}"]').click()
        await settled(page)
        [port] = gateways.holders()
        web = gateways.webs[port]
        stopping = asyncio.create_task(gateways.stop(port))
        await until(lambda web=web: web.gateway.streams.draining)
        await page.locator(APPROVE).click()
        await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
        await stopping
        await live(page)
        [record] = await answers(inbox, prompt)
        assert (record.status, record.answer.user_id) == (prompts.ANSWER_STATUS_ACCEPTED, "ana")
        assert (await world.prompt(prompt.prompt_id)).submissions == 1
        await gateways.start(port)
