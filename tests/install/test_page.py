"""A clean installation serves the page, and every file that the page names."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.wheelhouse import Environment, Wheelhouse
from tests.support.processes import ROOT, Processes, eventually, quiet_port
from tests.support.web import fetch

pytestmark = pytest.mark.timeout(300)
STATIC = "askback/web/static"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Iterator[Environment]:
    """An environment with `pip install askback[web]`."""
    environment = Environment(tmp_path_factory.mktemp("web") / "venv", wheelhouse)
    environment.install("--no-compile", wheelhouse.requirement("web"))
    yield environment
    environment.remove()


def test_the_wheel_has_the_page_as_it_is_committed(wheelhouse: Wheelhouse) -> None:
    archive = zipfile.ZipFile(wheelhouse.wheel)
    there = {name: archive.read(name) for name in archive.namelist() if name.startswith(f"{STATIC}/")}
    committed = (ROOT / "client" / STATIC).iterdir()
    assert there == {f"{STATIC}/{path.name}": path.read_bytes() for path in committed}


def test_the_sdist_has_the_page_s_source_and_none_of_its_packages(wheelhouse: Wheelhouse) -> None:
    with tarfile.open(wheelhouse.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    source = {
        "build.mjs",
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "src/main.tsx",
        "src/index.html",
    }
    assert {f"client/web/{name}" for name in source} <= names
    assert [name for name in names if "node_modules" in name] == []


async def test_an_installed_gateway_serves_the_page_and_each_file_it_names(
    web: Environment, tmp_path: Path, processes: Processes
) -> None:
    port = quiet_port()
    # The page needs no service, so that it can say that there is none.
    gateway = processes.command(
        "gateway",
        web.askback,
        "web",
        "--listen",
        f"127.0.0.1:{port}",
        "--server",
        f"127.0.0.1:{quiet_port()}",
    )
    await eventually(lambda: "serves the page" in gateway.out, "it serves")
    shell = await fetch(port, "GET", "/prompts/a-deep-link")
    assert (shell.status, shell.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'"(/assets/[^"]+)"', shell.body.decode())
    assert any(name.startswith("/assets/app.js?v=") for name in named)
    for name in named:
        found = await fetch(port, "GET", name)
        # An icon has no version in its name.
        kept = "public, max-age=31536000, immutable" if "?v=" in name else "no-cache"
        assert (found.status, found.headers["cache-control"]) == (200, kept)
        assert found.body == (web.site / STATIC / Path(name.partition("?")[0]).name).read_bytes()
    assert await gateway.terminate() == 0, gateway.story()
