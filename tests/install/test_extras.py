"""Each extra installs the packages it needs, and no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.test_light_client import CALL
from tests.install.wheelhouse import EXTRAS, Environment, Wheelhouse
from tests.support.processes import Processes, quiet_port

pytestmark = pytest.mark.timeout(300)
EMBEDDED = {"aiosqlite", "alembic", "asyncpg", "jsonschema_rs", "sqlalchemy"}
SERVICE = {*EMBEDDED, "grpcio_reflection", "joserfc", "prometheus_client", "uvloop"}
ADDED = {
    "embedded": EMBEDDED,
    "server": SERVICE,
    "tui": {"jsonschema_rs", "prompt_toolkit", "rich", "textual"},
    "web": {"joserfc", "prometheus_client", "starlette", "uvicorn", "websockets"},
    "receipts": {"joserfc", "rfc8785"},
    "rules": {"cel_expr_python"},
    "testing": {*SERVICE, "pytest", "pytest_asyncio"},
}
"""The packages that each extra must install."""
PACKAGES = {
    "embedded": ("askback_server",),
    "server": ("askback_server",),
    "tui": ("askback",),
    "web": ("askback",),
    "receipts": ("askback",),
    "rules": ("askback",),
    "testing": ("askback", "askback_server"),
}
"""The packages whose modules must be importable with each extra."""
IMPORT_ALL = """
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
    """The name of an extra, and an environment with it."""
    if request.param == "server":
        yield "server", request.getfixturevalue("server")
        return
    environment = Environment(tmp_path_factory.mktemp("extra") / "venv", wheelhouse)
    environment.install("--no-compile", wheelhouse.requirement(request.param))
    yield request.param, environment
    environment.remove()


def test_all_modules_can_be_imported_with_an_extra(extra: tuple[str, Environment]) -> None:
    """Only libraries of other extras may be missing."""
    name, environment = extra
    environment.check()
    seen, *missing = environment.run_program(IMPORT_ALL, *PACKAGES[name]).split()
    assert int(seen) > 20
    others = set().union(*ADDED.values()) - ADDED[name]
    assert set(missing) <= (others if name != "server" else set())


def test_an_extra_installs_no_packages_of_others(extra: tuple[str, Environment]) -> None:
    """Nor development tools."""
    name, environment = extra
    there = {package.replace("-", "_") for package in environment.packages()}
    assert there >= ADDED[name]
    others = set().union(*ADDED.values()) - ADDED[name]
    assert not {"mypy", "ruff", "grpcio_tools", *others} & there


@pytest.fixture(scope="module", params=["wheel", "editable"])
def service_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse
) -> Iterator[Environment]:
    """An environment with the service, from the wheel and from a checkout."""
    if request.param == "wheel":
        yield request.getfixturevalue("server")
        return
    checkout = wheelhouse.unpack(tmp_path_factory.mktemp("checkout"))
    environment = Environment(tmp_path_factory.mktemp("editable") / "venv", wheelhouse)
    environment.install("--no-compile", "--editable", f"{checkout}[server]")
    yield environment
    environment.remove()


async def test_an_installed_service_runs_a_job_and_stops(
    service_environment: Environment, processes: Processes, tmp_path: Path
) -> None:
    """On a new SQLite file: serve, a job with a prompt and its answer, health, SIGTERM."""
    target = f"127.0.0.1:{quiet_port()}"
    db = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    server = processes.command("server", service_environment.askback, "serve", "--db", db, "--listen", target)
    client = processes.command("client", service_environment.python, "-P", "-c", CALL, target)
    assert await client.wait_for_end() == 0, processes.story()
    assert client.output_lines[0]["result"] is True
    health = processes.command("health", service_environment.askback, "health", "--server", target)
    assert await health.wait_for_end() == 0, health.story()
    assert await server.terminate() == 0, server.story()
