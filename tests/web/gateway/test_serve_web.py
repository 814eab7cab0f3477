"""`askback serve --web` and `askback web`: where the page comes from, and how it stops."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from starlette.requests import Request

from askback.web.assets import Assets, AssetsMissing
from askback.web.session_keys import BadKeyFile
from askback.web.settings import WebSettings, WebSettingsError
from askback_server.config.settings import Config, ConfigError
from askback_server.lifecycle import Service
from tests.support.processes import Processes, eventually
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld, serving
from tests.support.web import Answer, fetch
from tests.web.gateway.test_converse_socket import HELLO, Page
from tests.web.gateway.test_metrics import scrape


async def test_one_process_serves_the_page_and_the_calls(lite_url: str) -> None:
    async with serving(lite_url, web="127.0.0.1:0") as world:
        port = world.service.web_port
        assert world.service.web_address == f"http://127.0.0.1:{port}"
        page = await fetch(port, "GET", "/")
        assert (page.status, page.headers["cache-control"]) == (200, "no-store")
        assert b"<!doctype html>" in page.body.lower()
        reply = await call(port, "AccessService/WhoAmI")
        assert reply.json["subject"] == "ana"


async def test_pages_of_one_process_move_before_it_stops(lite_url: str) -> None:
    from tests.support.web import socket_of

    async with serving(lite_url, web="127.0.0.1:0") as world:
        async with socket_of(world.service.web_port) as socket:
            page = Page(socket)
            await page.send(HELLO)
            await page.frame("welcome")
            stopping = asyncio.create_task(world.service.stop())
            assert (await page.frame("goAway"))["reason"]
            assert (await page.closed())[0] == 1012
            await stopping
        assert not world.service.failed.is_set(), "the end of the page is no failure"
        world.mark_stopped()


async def test_a_normal_stop_of_the_one_process_ends_well(tmp_path: Path) -> None:
    """It exits with 0, and its log has nothing worse than a notice, with a page open."""
    from tests.support.processes import quiet_port
    from tests.support.web import socket_of

    port = quiet_port()
    processes = Processes(tmp_path)
    try:
        server = await processes.server(
            f"sqlite+aiosqlite:///{tmp_path / 'db'}", web=f"127.0.0.1:{port}", drain_spread=0.2
        )
        async with socket_of(port) as socket:
            page = Page(socket)
            await page.send(HELLO)
            await page.frame("welcome")
            server.signal(signal.SIGTERM)
            assert (await page.closed())[0] == 1012
        assert await server.wait_for_end() == 0, server.log
        said = (server.out + server.log).lower()
        assert "stopped" in said
        assert not any(word in said for word in ("critical", "error", "traceback")), said
    finally:
        processes.end()


async def test_a_page_that_ends_by_itself_ends_the_service(lite_url: str) -> None:
    async with serving(lite_url, web="127.0.0.1:0") as world:
        page = world.service._page
        assert page is not None
        page._server._server.should_exit = True
        await asyncio.wait_for(world.service.failed.wait(), SOON)


async def test_a_service_whose_page_cannot_start_does_not_listen(lite_url: str, tmp_path: Path) -> None:
    """It listens already when the page starts."""
    keys = tmp_path / "keys"
    keys.write_text("x")
    service = Service(
        Config(listen="127.0.0.1:0", db=lite_url, web="127.0.0.1:0", web_session_keys=str(keys))
    )
    with pytest.raises(BadKeyFile, match="line 1 is not 32 random bytes"):
        await service.start()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", service.port)


async def test_with_tokens_a_name_alone_is_not_enough(lite_url: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens.write_text(
        f'[[tokens]]\nsha256 = "{digest}"\nsubject = "ada"\nroles = ["console"]\nnamespaces = ["x"]\n'
    )
    async with serving(lite_url, web="127.0.0.1:0", auth=str(tokens)) as world:
        port = world.service.web_port
        assert (await call(port, "AccessService/WhoAmI")).status == 401
        reply = await call(port, "AccessService/WhoAmI", authorization="Bearer secret", user="")
        assert reply.json["subject"] == "ada"


async def call(port: int, method: str, *, user: str = "ana", **headers: str) -> Answer:
    given = {"content_type": "application/json", "connect_protocol_version": "1", **headers}
    given |= {"askback_user": user} if user else {}
    return await fetch(port, "POST", f"/askback.v1.{method}", b"{}", **given)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"web": "0.0.0.0:8080"}, "no authentication is set"),
        ({"web": "8080"}, "is not HOST:PORT"),
        ({"web": "127.0.0.1:50051"}, "is where --listen listens too"),
        ({"web": "127.0.0.1:8080", "web_origin": "https://a.example"}, "give --auth"),
        ({"web": "0.0.0.0:8080", "auth": __file__}, "--web-origin"),
    ],
)
def test_a_page_that_others_could_use_needs_authentication(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config(**settings).validate()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"listen": "0.0.0.0:80"}, "public origin"),
        ({"listen": "8080"}, "HOST:PORT"),
        ({"listen": "::1:8080"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:99999"}, "65535"),
        ({"metrics_listen": "9465"}, "'9465' is not HOST:PORT"),
        ({"public_origins": ("http://a.example",)}, "https://"),
        ({"public_origins": ("https://a.example/path",)}, "is not an origin"),
        ({"public_origins": ("https://a.example",), "names": True}, "this machine only"),
        ({"tls_cert": __file__}, "go together"),
        ({"session_keys": "/nowhere"}, "/nowhere"),
    ],
)
def test_settings_that_are_wrong_are_explained(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(WebSettingsError, match=words):
        WebSettings(**settings)


def test_a_package_without_its_page_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing, match=r"index\.html"):
        Assets(tmp_path)
    (tmp_path / "index.html").write_text(
        '<meta name="askback-page" content="12345678"><script src="/assets/app.js?v=12345678"></script>'
    )
    with pytest.raises(AssetsMissing, match=r"app\.js"):
        Assets(tmp_path)
    (tmp_path / "app.js").write_text("1")
    assert Assets(tmp_path).version == "12345678"
    shell = tmp_path.joinpath("index.html").read_text() + '<link rel="manifest" href="/manifest.webmanifest">'
    tmp_path.joinpath("index.html").write_text(shell)
    with pytest.raises(AssetsMissing, match=r"manifest\.webmanifest"):
        Assets(tmp_path)
    tmp_path.joinpath("manifest.webmanifest").write_text('{"icons": [{"src": "/assets/icon-9.png"}]}')
    with pytest.raises(AssetsMissing, match=r"icon-9\.png"):
        Assets(tmp_path)
    tmp_path.joinpath("icon-9.png").write_text("1")
    assert Assets(tmp_path).version == "12345678"


@pytest.mark.parametrize(
    ("query", "status", "cache"),
    [
        ("v=12345678", 200, "public, max-age=31536000, immutable"),
        ("", 200, "no-cache"),
        ("v=87654321", 404, "no-store"),
        ("v=", 404, "no-store"),
    ],
)
async def test_a_page_gets_files_of_its_own_build_only(
    tmp_path: Path, query: str, status: int, cache: str
) -> None:
    """Parts of two builds in one page would each have their own state."""
    (tmp_path / "index.html").write_text('<meta name="askback-page" content="12345678">')
    (tmp_path / "app.js").write_text("1")
    scope = {"type": "http", "method": "GET", "path_params": {"name": "app.js"}, "headers": []}
    reply = await Assets(tmp_path).file(Request({**scope, "query_string": query.encode()}))
    assert (reply.status_code, reply.headers["cache-control"]) == (status, cache)


async def test_the_gateway_is_a_process_of_its_own(lite: ServiceWorld, tmp_path: Path) -> None:
    """Settings come from a flag, the environment and a file; SIGTERM drains it."""
    from tests.support.processes import quiet_port
    from tests.support.web import socket_of

    port, metrics_port, config = quiet_port(), quiet_port(), tmp_path / "web.toml"
    config.write_text('names = true\ndrain_grace = "2s"\nlisten = "127.0.0.1:1"\n')
    processes = Processes(tmp_path)
    try:
        gateway = processes.askback(
            "gateway", "web", "--config", str(config), "--drain-spread", "100ms",
            "--metrics-listen", f"127.0.0.1:{metrics_port}",
            ASKBACK_SERVER=f"127.0.0.1:{lite.service.port}", ASKBACK_WEB_LISTEN=f"127.0.0.1:{port}",
        )  # fmt: skip
        await eventually(lambda: "serves the page" in gateway.out, "it serves")
        assert f"http://127.0.0.1:{port}" in gateway.out
        assert (await call(port, "AccessService/WhoAmI")).json["subject"] == "ana"
        assert (await fetch(port, "GET", "/readyz")).json == {"status": "ready"}
        async with socket_of(port) as socket:
            page = Page(socket)
            await page.send(HELLO)
            await page.frame("welcome")
            found = await scrape(metrics_port)
            assert found.of("askback_web_streams_open", kind="socket") == 1
            gateway.signal(signal.SIGTERM)
            await page.frame("goAway")
            assert (await page.closed())[0] == 1012
        assert await gateway.wait_for_end() == 0, gateway.log
    finally:
        processes.end()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "0.0.0.0:8080"], "public origin"),
        (["--config", "/nowhere"], "/nowhere"),
        (["--names", "--public-origin", "https://a.example"], "this machine only"),
        (["--cert", "x"], "--key"),
    ],
)
async def test_a_wrong_start_says_what_to_do(words: list[str], said: str, tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    try:
        gateway = processes.askback("gateway", "web", *words)
        assert await gateway.wait_for_end() == 2
        assert said in gateway.log
    finally:
        processes.end()


@pytest.mark.parametrize("flag", ["--listen", "--metrics-listen"])
async def test_an_address_in_use_is_named(flag: str, tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    with create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        try:
            gateway = processes.askback("gateway", "web", "--listen", "127.0.0.1:0", flag, address)
            assert await gateway.wait_for_end() == 1
        finally:
            processes.end()
    assert f"cannot listen on {address}" in gateway.log


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from askback.cli import main

    config = tmp_path / "web.toml"
    config.write_text('public-origin = "https://a.example"\n')
    done = CliRunner().invoke(main, ["web", "--config", str(config)])
    assert done.exit_code == 2
    assert "public-origin is not a setting" in done.output + json.dumps(str(done.stderr))
