"""The image of the Dockerfile: its contents, and a prompt answered through its server."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.container.conftest import Image
from tests.container.container import Container, bring_loopback_up
from tests.container.visit import ask_and_answer
from tests.support.processes import ROOT, Processes, quiet_port
from tests.support.requirements import absent

pytestmark = pytest.mark.timeout(600)
USER = 10001
TOKEN = "a-token-of-this-test"
ENTRY = f"""
[[tokens]]
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
subject = "ana"
roles = ["client", "worker", "console", "policy"]
namespaces = ["default"]
"""


@pytest.fixture
def container(image: Image, processes: Processes, tmp_path: Path) -> Container:
    """A container with an empty volume and a token file with one token for all roles."""
    data, tokens = tmp_path / "data", tmp_path / "tokens.toml"
    data.mkdir()
    shutil.chown(data, USER, USER)
    tokens.write_text(ENTRY)
    return Container(processes, image.root, image.config, {data: "/data", tokens: "/etc/askback/tokens.toml"})


def test_the_image_declares_user_stop_signal_health_check_volume_and_labels(image: Image) -> None:
    config = image.config
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Volumes"] == {"/data": {}}
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "askback"]
    assert config["Labels"]["org.opencontainers.image.version"] == image.version
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_image_has_the_pinned_packages_and_no_build_leftovers(image: Image) -> None:
    """No pip, no sources, no tests, and none of the build's settings."""
    site = next((image.root / "opt/askback/lib").glob("python3*/site-packages"))
    installed = {path.name.partition("-")[0].lower() for path in site.glob("*.dist-info")}
    assert {"askback", "asyncpg", "sqlalchemy", "grpcio", "cel_expr_python"} <= installed
    assert not {"pip", "hatchling", "pytest", "build", "rich"} & installed
    for absent_path in ("src", "dist", "opt/build", "etc/pip.conf", "run/secrets", "root/.cache"):
        assert not (image.root / absent_path).exists(), absent_path
    pins = (ROOT / "requirements/server.lock").read_text()
    for info in site.glob("*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        if name != "askback":
            assert f"\n{name.replace('_', '-').lower()}=={version} " in f"\n{pins}", info.name
    writable = [path for path in (image.root / "opt").rglob("*") if path.stat().st_uid == USER]
    assert writable == []


async def test_a_prompt_is_answered_through_a_read_only_container(image: Image, container: Container) -> None:
    """With the image's own configuration: the server gets ready, a job asks and completes, a rule with a
    condition answers, SIGTERM ends it with exit code 0, and the job is stored."""
    server = container.start("first", own_network=True)
    await bring_loopback_up(server)
    first = await container.wait_until_ready(server)
    await _is_confined(container, first)
    kind, *check = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    health = container.run_inside("health", first, check)
    assert await health.wait_for_end() == 0, health.story()
    visit = container.run_beside("visit", first, "tests.container.visit", "127.0.0.1:50051", TOKEN)
    assert await visit.wait_for_end() == 0, f"{visit.story()}\n{server.story()}"
    (output,) = visit.output_lines
    assert (output["state"], output["result"]) == ("COMPLETED", "ana: True")
    assert output["answered_by"] == output["rule"] != ""
    assert await container.stop(server) == 0, server.story()

    again = container.start("again", own_network=True)
    await bring_loopback_up(again)
    first = await container.wait_until_ready(again)
    job = (output["job_id"],)
    read = container.run_beside("read", first, "tests.container.visit", "127.0.0.1:50051", TOKEN, *job)
    assert await read.wait_for_end() == 0, read.story()
    assert read.output_lines[0]["state"] == "COMPLETED"
    assert await container.stop(again) == 0, again.story()


async def _is_confined(container: Container, first: int) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{first}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert set(status["Uid"].split()) == {str(USER)}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["NSpid"].split()[-1] == "1"
    # Not even root may write, because the mount is read-only.
    touch = container.run_inside("touch", first, ["touch", "/opt/askback/mine"], user="0:0")
    assert await touch.wait_for_end() == 1
    assert "Read-only file system" in touch.log


async def test_the_image_refuses_to_listen_without_a_token_file(container: Container) -> None:
    """The image listens on all interfaces, so it requires authentication."""
    process = container.start("open", "serve", "--listen", "0.0.0.0:0")
    assert await process.wait_for_end() == 2
    assert "--auth TOKENFILE" in process.log


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_image_migrates_and_serves_postgresql(container: Container, db_url: str) -> None:
    """`migrate` is the image's other command."""
    migrate = container.start("migrate", "migrate", "--db", db_url)
    assert await migrate.wait_for_end() == 0, migrate.story()
    target = f"127.0.0.1:{quiet_port()}"
    server = container.start(
        "server", "serve", "--db", db_url, "--listen", target, "--auth", "/etc/askback/tokens.toml"
    )
    await container.wait_until_ready(server)
    assert (await ask_and_answer(target, TOKEN))["result"] == "ana: True"
    assert await container.stop(server) == 0, server.story()


def test_a_missing_build_tool_skips_or_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """It skips the test, or fails it where the tool is required."""
    monkeypatch.delenv("ASKBACK_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs buildah"):
        absent("buildah", "building an image needs buildah")
    monkeypatch.setenv("ASKBACK_REQUIRE", "postgres,buildah")
    with pytest.raises(pytest.fail.Exception, match="ASKBACK_REQUIRE wants buildah"):
        absent("buildah", "building an image needs buildah")
