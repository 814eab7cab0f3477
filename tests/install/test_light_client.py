"""`pip install askback`: a client without the libraries of the service."""

import sys
from pathlib import Path

import pytest

from tests.install.wheelhouse import Environment
from tests.support.processes import Processes

pytestmark = pytest.mark.timeout(300)
SERVICE_ONLY = {
    "aiosqlite",
    "alembic",
    "asyncpg",
    "grpcio-health-checking",
    "grpcio-reflection",
    "jsonschema-rs",
    "prompt-toolkit",
    "pytest",
    "rich",
    "sqlalchemy",
    "uvloop",
}
CALL = """
import asyncio, json, sys
from askback import Client, Console, Worker

async def main():
    async with Client(sys.argv[1], user="ana") as client, client.console() as desk:
        worker = Worker(sys.argv[1], worker_id="w")

        @worker.job("nod")
        async def nod(job, what):
            consent = await job.confirm(what, key="ok")
            return bool(consent)

        async with worker:
            run = await client.start("nod", {"what": "Really?"})
            await (await anext(desk.prompts())).approve()
            result = await run.result()
    tops = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    print(json.dumps({"event": "end", "result": result, "modules": sorted(tops)}))

asyncio.run(main())
"""
ALLOWED = {
    "__main__",
    "_pydantic_core",
    "annotated_types",
    "askback",
    "click",
    "cython_runtime",
    "google",
    "grpc",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
}
"""The modules that a program may load to start, run and answer a job."""


def test_the_light_client_has_no_libraries_of_the_service(light: Environment) -> None:
    light.check()
    assert not SERVICE_ONLY & set(light.packages())


def test_import_askback_loads_no_library(light: Environment) -> None:
    """Names are loaded lazily."""
    program = (
        "import sys; before = set(sys.modules); import askback; print(*sorted(set(sys.modules) - before))"
    )
    loaded = {name.partition(".")[0] for name in light.run_program(program).split()}
    assert loaded - set(sys.stdlib_module_names) == {"askback"}


async def test_the_light_client_runs_a_job_and_loads_few_modules(
    light: Environment, processes: Processes, tmp_path: Path
) -> None:
    server = await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    client = processes.command("client", light.python, "-P", "-c", CALL, server.target)
    assert await client.wait_for_end() == 0, client.story()
    (said,) = client.output_lines
    assert said["result"] is True
    loaded = {name for name in said["modules"] if not name.startswith(("_cython_", "_sysconfigdata"))}
    assert loaded <= ALLOWED, loaded - ALLOWED


@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_commands_that_need_the_service_say_what_to_install(
    light: Environment, processes: Processes, command: str
) -> None:
    process = processes.command(command, light.askback, command)
    assert await process.wait_for_end() == 1, process.story()
    assert "pip install 'askback[server]'" in process.log
    assert "Traceback" not in process.log


async def test_the_light_client_s_command_line_prints_version_and_health(
    light: Environment, processes: Processes
) -> None:
    """The health of a server that does not run is an error of one line."""
    version = processes.command("version", light.askback, "--version")
    assert await version.wait_for_end() == 0
    assert light.packages()["askback"] in version.out
    health = processes.command(
        "health", light.askback, "health", "--server", "127.0.0.1:1", "--timeout", "0.5s"
    )
    assert await health.wait_for_end() != 0
    assert len(health.log.splitlines()) == 1, health.log
