"""From the click in one browser to the screen of another, over the same answer between two gRPC consoles."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from askback.v1 import job_service_pb2, job_service_pb2_grpc
from scripts.chromium import find_chromium
from tests.bench import servers
from tests.bench.full.replicas import latency
from tests.bench.report import Figures, percentile
from tests.support.requests import confirm

WARM, CLICKS = 5, 40

_WATCH = """
(id) => {
  window.closedAt = new Promise((done) => {
    const look = () => {
      const row = document.querySelector(`[data-row="${id}"]`);
      if (row && !row.classList.contains("is-closed")) return;
      changes.disconnect();
      done(performance.timeOrigin + performance.now());
    };
    const changes = new MutationObserver(look);
    changes.observe(document.querySelector(".list"), { childList: true, subtree: true, attributes: true });
  });
}
"""
"""The other browser notes when its list shows that the prompt is closed: in the frame that paints it."""
_NOTE_CLICK = """
() => addEventListener("click", (event) => {
  window.clickedAt = performance.timeOrigin + event.timeStamp;
}, { capture: true, once: true })
"""


@dataclass(frozen=True)
class _Web:
    """Where the page is, for `Inbox`."""

    port: int


def obstacle() -> str:
    """Why the page cannot be measured here; empty if it can."""
    if importlib.util.find_spec("playwright") is None:
        return "the package playwright is not installed"
    if find_chromium() is None:
        return "there is no Chromium on this machine"
    return ""


def run(repeats: int, say: Callable[[dict[str, Any]], None]) -> str:
    """Measure on SQLite, both paths in each run. Returns the line with the result."""
    found: list[Figures] = []
    for repeat in range(repeats):
        port = _free_port()
        with servers.sqlite({"ASKBACK_WEB": f"127.0.0.1:{port}"}) as server:
            found.append(asyncio.run(_measure(server.address, port)))
        say({"case": "page", "repeat": repeat + 1, **{k: round(v, 3) for k, v in found[-1].items()}})
    ratio = percentile([run["page_p50_ms"] / run["grpc_p50_ms"] for run in found], 50)
    page, direct = (percentile([run[name] for run in found], 50) for name in ("page_p50_ms", "grpc_p50_ms"))
    return (
        f"page: from a click to the other browser's screen p50 {page:.1f} ms, {ratio:.1f} times the "
        f"{direct:.2f} ms between two gRPC consoles"
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _measure(address: str, port: int) -> Figures:
    direct = await latency(address, address)
    clicks = await _clicks(address, port)
    return {
        "grpc_p50_ms": direct["console_same_p50_ms"],
        "grpc_p99_ms": direct["console_same_p99_ms"],
        "page_p50_ms": percentile(clicks, 50),
        "page_p99_ms": percentile(clicks, 99),
    }


async def _clicks(address: str, port: int) -> list[float]:
    """The ms from each click of one person until another person's list shows the answer."""
    from tests.support.browser import Inbox, running_chromium, settled

    times: list[float] = []
    async with running_chromium() as browser, grpc.aio.insecure_channel(address) as channel:
        jobs: Any = job_service_pb2_grpc.JobServiceStub(channel)
        inbox = Inbox(browser, None, _Web(port))  # type: ignore[arg-type]
        one, other = await inbox.open("ana"), await inbox.open("ben")
        await other.locator("#search").focus()  # with the focus in the list its rows would not move
        for number in range(WARM + CLICKS):
            request = job_service_pb2.CreateJobRequest(job_type="page", prompt=confirm(f"Question {number}"))
            prompt_id = (await jobs.CreateJob(request)).prompt.prompt_id
            await other.wait_for_selector(f'[data-row="{prompt_id}"]')
            await one.goto(f"{inbox.origin}/prompts/{prompt_id}")
            await settled(one)
            await other.evaluate(_WATCH, prompt_id)
            await one.evaluate(_NOTE_CLICK)
            await one.locator('[data-decision="DECISION_ACCEPT"]').click()
            clicked = await one.evaluate("() => window.clickedAt")
            closed = await other.evaluate("() => window.closedAt")
            if number >= WARM:
                times.append(closed - clicked)
        await inbox.close()
    return times
