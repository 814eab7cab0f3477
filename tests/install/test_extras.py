"""Each extra brings what it is for, and no more than that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.test_light_client import CALL
from tests.install.wheelhouse import EXTRAS, Environment, Wheelhouse
from tests.support.processes import Processes, quiet_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
EMBEDDED = {"aiosqlite", "alembic", "asyncpg", "sqlalchemy"}
SERVICE = {*EMBEDDED, "grpcio_reflection", "prometheus_client", "uvloop"}
BRINGS = {
    "embedded": EMBEDDED,
    "server": SERVICE,
    "tui": {"prompt_toolkit", "rich"},
    "testing": {*SERVICE, "pytest", "pytest_asyncio"},
}
"""What each extra is there for."""
PACKAGES = {
    "embedded": ("askback_server",),
    "server": ("askback_server",),
    "tui": ("askback",),
    "testing": ("askback", "askback_server"),
}
"""Where each extra is used: every module must find there what it imports."""
WALK = """
import importlib, pkgutil, sys
seen, missing = 0, set()
for package in sys.argv[1:]:
    folder = importlib.import_module(package).__path__
    for name in (m.name for m in pkgutil.walk_packages(folder, package + ".", onerror=lambda name: None)):
        if name.endswith("__main__") or ".migrations." in name:
            continue
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing.add(error.name.partition(".")[0])
        seen += 1
print(seen, *missing)
"""


@pytest.fixture(scope="module", params=EXTRAS)
def extra(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse
) -> Iterator[tuple[str, Environment]]:
    """An environment with one extra."""
    if request.param == "server":
        yield "server", request.getfixturevalue("server")
        return
    environment = Environment(tmp_path_factory.mktemp("extra") / "venv", wheelhouse)
    environment.install("--no-compile", wheelhouse.requirement(request.param))
    yield request.param, environment
    environment.remove()


def test_it_has_what_it_needs(extra: tuple[str, Environment]) -> None:
    """No module misses a library, but for those that another extra brings."""
    name, environment = extra
    environment.check()
    seen, *missing = environment.says(WALK, *PACKAGES[name]).split()
    assert int(seen) > 20
    others = set().union(*BRINGS.values()) - BRINGS[name]
    assert set(missing) <= (others if name != "server" else set())


def test_it_brings_what_it_is_for_and_no_more(extra: tuple[str, Environment]) -> None:
    """Tools of other extras, and of people who work on Askback, stay out."""
    name, environment = extra
    there = {package.replace("-", "_") for package in environment.packages()}
    assert there >= BRINGS[name]
    others = set().union(*BRINGS.values()) - BRINGS[name]
    assert not {"mypy", "ruff", "grpcio_tools", *others} & there


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse
) -> Iterator[Environment]:
    """The service, from the wheel and from a checkout."""
    if request.param == "wheel":
        yield request.getfixturevalue("server")
        return
    checkout = wheelhouse.unpacked(tmp_path_factory.mktemp("checkout"))
    environment = Environment(tmp_path_factory.mktemp("editable") / "venv", wheelhouse)
    environment.install("--no-compile", "--editable", f"{checkout}[server]")
    yield environment
    environment.remove()


async def test_it_serves_asks_and_is_answered(
    installed: Environment, processes: Processes, tmp_path: Path
) -> None:
    """serve, health, a job with its prompt and its answer, SIGTERM, on a new SQLite file."""
    target = f"127.0.0.1:{quiet_port()}"
    db = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    server = processes.command("server", installed.askback, "serve", "--db", db, "--listen", target)
    client = processes.command("client", installed.python, "-P", "-c", CALL, target)
    assert await client.wait_for_end() == 0, processes.story()
    assert client.output_lines[0]["result"] is True
    health = processes.command("health", installed.askback, "health", "--server", target)
    assert await health.wait_for_end() == 0, health.story()
    assert await server.terminate() == 0, server.story()
