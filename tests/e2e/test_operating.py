"""What an operator uses: settings from a file, TLS, probes, metrics, new certificates, a drain."""

import asyncio
import hashlib
import json
import ssl
import sys
import urllib.request
from pathlib import Path

import pytest

from askback import Client, Unauthenticated
from askback._wire.channel import Tls
from tests.support.authority import Authority
from tests.support.processes import WITHIN, Process, Processes, eventually, quiet_port

ASKBACK = str(Path(sys.executable).with_name("askback"))
TOKEN = "ana-s3cret"


class Site:
    """A folder with the settings, certificates and tokens of a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.port, self.health, self.metrics = (quiet_port() for _ in range(3))
        self.authority.server().put(folder)
        (folder / "ca.crt").write_bytes(self.authority.pem)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        rights = 'roles = ["client", "console"]\nnamespaces = ["default"]\n'
        (folder / "tokens.toml").write_text(
            f'[[tokens]]\nsha256 = "{digest}"\nsubject = "ana"\n{rights}'
            f'[[tokens]]\ncertificate = "bob"\nsubject = "bob"\n{rights}'
        )
        self.file = folder / "askback.toml"

    def write(self, **more: object) -> None:
        """Write the settings file, with `more` settings."""
        settings = {
            "listen": f"0.0.0.0:{self.port}",
            "db": f"sqlite+aiosqlite:///{self.folder / 'a.db'}",
            "auth": str(self.folder / "tokens.toml"),
            "tls_cert": str(self.folder / "tls.crt"),
            "tls_key": str(self.folder / "tls.key"),
            "health_listen": f"127.0.0.1:{self.health}",
            "metrics_listen": f"127.0.0.1:{self.metrics}",
            "log_format": "json",
            "drain_grace": 1,
            **more,
        }
        self.file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))

    @property
    def target(self) -> str:
        """The address of the server for clients of this machine."""
        return f"127.0.0.1:{self.port}"

    def tls(self, name: str = "") -> Tls:
        """The authority that a client trusts and, with a name, its certificate."""
        me = self.authority.client(name) if name else None
        return Tls(self.authority.pem, me.key if me else None, me.certificate if me else None)

    def scrape(self) -> str:
        """The page of the metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=WITHIN) as page:
            text: str = page.read().decode()
            return text

    async def server_certificate(self) -> bytes:
        """The certificate that the server presents to a new connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(shown).encode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def _start_server(processes: Processes, site: Site, **environment: str) -> Process:
    process = processes.command("server", ASKBACK, "serve", "--config", str(site.file), **environment)

    def ready() -> bool:
        assert process.running, process.log
        return "askback serves on" in process.out

    await eventually(ready, "the server is ready")
    return process


async def _health(processes: Processes, name: str, *options: str) -> int:
    process = processes.askback(f"health-{name}", "health", *options)
    return await process.wait_for_end()


async def test_a_server_with_all_settings_in_a_file_serves_and_reloads_its_certificate(
    processes: Processes, site: Site
) -> None:
    site.write()
    server = await _start_server(processes, site, ASKBACK_REPLICA="from the environment")
    async with Client(site.target, token=TOKEN, tls=site.tls()) as ana:
        run = await ana.ask("Deploy?")
        assert 'askback_open_prompts{age="1m",kind="confirm"} 1.0' in await asyncio.to_thread(site.scrape)
        first = await site.server_certificate()
        new = site.authority.server().put(site.folder)
        assert await site.server_certificate() == new.certificate != first
        # The open connection stays; a new connection is served with the new certificate.
        async with Client(site.target, token=TOKEN, tls=site.tls()) as again, again.console() as console:
            await (await anext(console.prompts())).approve()
        assert await run.result()
        async with Client(site.target, tls=site.tls()) as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.ask("And now?")
    ca = ("--ca", str(site.folder / "ca.crt"))
    assert await _health(processes, "tls", "--server", site.target, *ca) == 0
    assert await _health(processes, "plain", "--server", site.target, "--timeout", "2s") == 7
    assert await _health(processes, "probe", "--server", f"127.0.0.1:{site.health}") == 0
    assert await server.terminate() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert any(line["message"] == "askback is ready" for line in lines)
    assert {line["replica"] for line in lines if "replica" in line} == {"from the environment"}
    assert any(line["message"] == "a new certificate is in use" for line in lines)
    [serves] = [json.loads(line) for line in server.out.splitlines()]
    assert serves["address"] == f"0.0.0.0:{site.port}"
    assert any(line["message"] == "prompt answered" and line["by"] == "ana" for line in lines)
    assert TOKEN not in server.log + server.out


async def test_client_certificates_replace_tokens(processes: Processes, site: Site) -> None:
    """mTLS: the SDK and `askback health` present a certificate; without one there is no connection."""
    site.write(tls_client_ca=str(site.folder / "ca.crt"))
    server = await _start_server(processes, site)
    async with Client(site.target, tls=site.tls("bob")) as bob:
        job = await (await bob.ask("Deploy?")).job()
        assert job.proto.user_id == "bob"
    me = site.authority.client("anybody").put(site.folder, "me")
    assert me
    ca = ("--server", site.target, "--timeout", "2s", "--ca", str(site.folder / "ca.crt"))
    pair = ("--cert", str(site.folder / "me.crt"), "--key", str(site.folder / "me.key"))
    assert await _health(processes, "mutual", *ca, *pair) == 0
    assert await _health(processes, "one-sided", *ca) == 7
    assert await server.terminate() == 0


async def test_a_failed_start_logs_the_reason_as_json(processes: Processes, site: Site) -> None:
    site.write()
    (site.folder / "tls.key").write_text("nonsense")
    server = processes.askback("server", "serve", "--config", str(site.file))
    assert await server.wait_for_end() == 1
    last = [json.loads(line) for line in server.log.splitlines()][-1]
    assert last["level"] == "CRITICAL"
    pair = f"{site.folder / 'tls.crt'} and {site.folder / 'tls.key'}"
    assert last["message"].startswith(f"cannot start: {pair} must be a certificate and its own key")


async def test_a_wrong_setting_is_refused_before_the_database_is_opened(
    processes: Processes, site: Site
) -> None:
    site.write(lease_ttl="long")
    server = processes.askback("server", "serve", ASKBACK_CONFIG=str(site.file))
    assert await server.wait_for_end() == 2
    assert server.log == (f"askback: {site.file}: lease_ttl = 'long' must be a number between 0.5 and 3600\n")
    assert not (site.folder / "a.db").exists()


async def test_print_config_shows_sources_and_hides_passwords(processes: Processes, site: Site) -> None:
    site.write(db="postgresql+asyncpg://me:swordfish@host/askback")
    shown = processes.askback(
        "shown", "serve", "--batch", "7", "--print-config", ASKBACK_CONFIG=str(site.file)
    )
    assert await shown.wait_for_end() == 0
    [db] = [line for line in shown.out.splitlines() if line.startswith("db = ")]
    assert db.split("  # ")[0].strip() == 'db = "postgresql+asyncpg://me:***@host/askback"'
    assert db.endswith(f"# {site.file}")
    assert any(
        line.startswith("batch = 7 ") and line.endswith("# --batch") for line in shown.out.splitlines()
    )
    assert "swordfish" not in shown.out + shown.log


async def test_migrate_reads_the_database_url_from_the_settings_file(
    processes: Processes, site: Site
) -> None:
    site.write()
    (site.folder / "tokens.toml").unlink()  # the pod of a migration has only the secret of the database
    migrate = processes.askback("migrate", "migrate", "--config", str(site.file))
    assert await migrate.wait_for_end() == 0
    assert (site.folder / "a.db").exists()
