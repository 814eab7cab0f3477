"""The metrics of a gateway: each counter follows what happens, and both programs expose them."""

from __future__ import annotations

import asyncio
import json
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from askback._metrics.exposition import Exposition
from askback.web import catalogue as c
from askback.web.metrics import GatewayCollector
from tests.support.processes import eventually
from tests.support.service import serving
from tests.support.web import WebWorld, fetch, socket_of

JSON = {"content_type": "application/json"}


class Scrape:
    """One reading of the exposition."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.names = {family.name for family in families}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        """The value of a sample; 0 if there is none."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)


async def scrape(port: int) -> Scrape:
    def read() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as reply:
            text: str = reply.read().decode()
            return text

    return Scrape(await asyncio.to_thread(read))


async def test_each_counter_of_the_gateway_follows_what_happens(web: WebWorld) -> None:
    exposition = Exposition("127.0.0.1", 0, GatewayCollector(web.gateway))
    try:
        found = await scrape(exposition.port)
        assert {m.name for m in c.CATALOGUE} <= found.names
        assert found.of("askback_web_ready") == 1

        async with socket_of(web.port) as socket:
            await socket.send('{"frames":[{"ref":"1","hello":{}}]}')
            await socket.recv()
            found = await scrape(exposition.port)
            assert found.of("askback_web_streams_open", kind="socket") == 1
            assert found.of("askback_web_streams_open", kind="events") == 0
            assert found.of("askback_web_messages_total", direction="in") == 1
            assert found.of("askback_web_messages_total", direction="out") >= 1
        with pytest.raises(InvalidStatus):
            async with socket_of(web.port, origin="http://evil.example", user=""):
                pass
        async with socket_of(web.port, subprotocols=["other"]) as refused_socket:
            with pytest.raises(ConnectionClosed):
                await refused_socket.recv()
        with pytest.raises(InvalidStatus):
            async with connect(
                f"ws://evil.example:{web.port}/converse", host="127.0.0.1", port=web.port, compression=None
            ):
                pass
        await fetch(web.port, "GET", "/events/prompts")

        path = "/askback.v1.HitlService/ListPrompts"
        assert (await fetch(web.port, "POST", path, "{}", askback_user="ana", **JSON)).status == 200
        assert (await fetch(web.port, "POST", path, "[", askback_user="ana", **JSON)).status == 400
        assert (await fetch(web.port, "POST", "/askback.v1.No/Such", "{}", **JSON)).status == 404

        sign_in = {"x_askback": "1", "origin": f"http://127.0.0.1:{web.port}", **JSON}
        name, token = json.dumps({"name": "ana"}), json.dumps({"token": "t"})
        assert (await fetch(web.port, "POST", "/session", name, **sign_in)).status == 200
        assert (await fetch(web.port, "POST", "/session", token, **sign_in)).status == 400

        found = await scrape(exposition.port)
        for reason in ("ORIGIN", "SUBPROTOCOL", "HOST"):
            assert found.of("askback_web_streams_refused_total", kind="socket", reason=reason) == 1, reason
        refused = {"kind": "events", "reason": "SIGN_IN_REQUIRED"}
        assert found.of("askback_web_streams_refused_total", **refused) == 1
        method = "HitlService/ListPrompts"
        for of, code in ((method, "OK"), (method, "INVALID_ARGUMENT"), ("unknown", "UNIMPLEMENTED")):
            assert found.of("askback_web_calls_total", method=of, code=code) == 1, code
        assert found.of("askback_web_call_seconds_count", method=method) == 2
        assert found.of("askback_web_sign_ins_total", result="accepted") == 1
        assert found.of("askback_web_sign_ins_total", result="WRONG_METHOD") == 1
        await eventually(lambda: len(web.gateway.streams) == 0, "the socket has ended")
        web.gateway.streams.draining = True
        found = await scrape(exposition.port)
        assert found.of("askback_web_ready") == 0
        assert found.of("askback_web_streams_open", kind="socket") == 0
    finally:
        web.gateway.streams.draining = False
        await exposition.close()


async def test_the_service_with_a_page_exposes_both(lite_url: str) -> None:
    async with serving(lite_url, web="127.0.0.1:0", metrics_listen="127.0.0.1:0") as world:
        await fetch(world.service.web_port, "GET", "/events/prompts")
        found = await scrape(world.service.metrics_port)
    assert found.of("askback_ready") == 1
    refused = {"kind": "events", "reason": "SIGN_IN_REQUIRED"}
    assert found.of("askback_web_streams_refused_total", **refused) == 1
