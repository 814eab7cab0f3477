"""The gateway and TLS: its own, that of the service, and a certificate that must not stand for a person."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest

from askback._wire.channel import Endpoint, Tls
from askback.web.serve import WebServer
from askback.web.settings import WebSettings
from tests.support.authority import Authority
from tests.support.service import ServiceWorld, serving
from tests.support.web import fetch

TOKEN = "ana-s3cret"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    """`tls.crt`, `tls.key`, `ca.crt`, `gateway.crt`, and `tokens.toml` with an entry for the last."""
    authority.server().put(tmp_path)
    authority.client("gateway").put(tmp_path, "gateway")
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    common = 'roles = ["console", "admin"]\nnamespaces = ["default"]\n'
    (tmp_path / "tokens.toml").write_text(
        f'[[tokens]]\nsha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\nsubject = "ana"\n{common}'
        f'[[tokens]]\ncertificate = "gateway"\nsubject = "the gateway"\n{common}'
    )
    return tmp_path


def service_settings(folder: Path) -> dict[str, str]:
    files = {"tls_cert": "tls.crt", "tls_key": "tls.key", "tls_client_ca": "ca.crt", "auth": "tokens.toml"}
    return {name: str(folder / file) for name, file in files.items()}


async def whoami(port: int, **headers: str) -> tuple[int, str]:
    """Status and subject of a call without a cookie."""
    given = {"content_type": "application/json", **headers}
    reply = await fetch(port, "POST", "/askback.v1.AccessService/WhoAmI", b"{}", **given)
    return reply.status, reply.json.get("subject", "")


def endpoint(world: ServiceWorld, folder: Path) -> Endpoint:
    keys = Tls.from_files(folder / "ca.crt", folder / "gateway.crt", folder / "gateway.key")
    return Endpoint(f"localhost:{world.service.port}", tls=keys)


async def test_the_page_of_one_process_needs_no_certificate(lite_url: str, folder: Path) -> None:
    """The service wants one of each client; the page of its own process calls over a private channel."""
    async with serving(lite_url, web="127.0.0.1:0", **service_settings(folder)) as world:
        port = world.service.web_port
        assert await whoami(port, authorization=f"Bearer {TOKEN}") == (200, "ana")
        assert (await whoami(port))[0] == 401


async def test_the_certificate_of_the_gateway_is_no_ones_right(lite_url: str, folder: Path) -> None:
    """Its entry in the token file is an admin's: a call without a token must not become its call."""
    async with serving(lite_url, **service_settings(folder)) as world:
        settings = WebSettings(listen="127.0.0.1:0", names=True, drain_spread=0, drain_grace=0.1)
        server = WebServer(settings, endpoint(world, folder))
        await server.start()
        try:
            assert await whoami(server.port, authorization=f"Bearer {TOKEN}") == (200, "ana")
            assert (await whoami(server.port, askback_user="the gateway"))[0] == 401
        finally:
            await server.stop()


async def test_the_gateway_speaks_tls(lite: ServiceWorld, folder: Path) -> None:
    settings = WebSettings(
        listen="127.0.0.1:0",
        tls_cert=str(folder / "tls.crt"),
        tls_key=str(folder / "tls.key"),
        drain_spread=0,
        drain_grace=0.1,
    )
    server = WebServer(settings, Endpoint(f"127.0.0.1:{lite.service.port}"))
    await server.start()
    try:
        assert server.address.startswith("https://")
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.write(f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert b"200" in await asyncio.wait_for(reader.readline(), 20)
        writer.transport.abort()
    finally:
        await server.stop()
