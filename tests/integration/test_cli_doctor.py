"""`askback doctor` finds each problem and says what to do."""

import asyncio
import hashlib
import re
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from alembic.script import ScriptDirectory

from askback.cli.checkup import server as server_checks
from askback.cli.checkup.contract import client_contract
from askback.v1 import policy_service_pb2 as policy
from askback_server.storage.schema import scripts
from tests.support.processes import quiet_port
from tests.support.rule_requests import create
from tests.support.service import ServiceWorld, serving
from tests.support.shell import CommandResult, Shell
from tests.support.token_files import TokenFile

SCHEMA = ScriptDirectory.from_config(scripts()).get_current_head()

TOKENS = """
[[tokens]]
sha256 = "{}"
subject = "ana"
roles = ["console"]
namespaces = ["payments"]

[[tokens]]
sha256 = "{}"
subject = "bob"
roles = ["worker"]
namespaces = ["payments"]
"""


def _results(done: CommandResult) -> dict[str, tuple[str, str]]:
    """Level and message of each check."""
    return {line["check"]: (line["level"], line["message"]) for line in done.lines}


async def test_doctor_reports_ok_for_a_healthy_server(
    lite: ServiceWorld, shell: Shell, lite_url: str
) -> None:
    done = await shell.ok("doctor", "--json", "--db", lite_url, "--group", "ops")
    found = _results(done)
    assert {level for level, _ in found.values()} == {"ok"}
    assert list(found) == [
        "python",
        "askback",
        "packages",
        *(name for name in found if name.startswith("extra ")),
        "configuration",
        "environment",
        "database",
        "server",
        "health",
        "contract",
        "identity",
        "clock",
    ]
    assert "grpcio" in found["packages"][1]
    assert found["extra server"][1].startswith("installed")
    assert found["environment"][1] == "ASKBACK_SERVER, ASKBACK_USER"
    assert f"schema {SCHEMA}" in found["database"][1]
    assert (
        found["health"][1] == "serving: JobService, WorkerService, HitlService, AccessService, PolicyService"
    )
    assert found["contract"][1].startswith("client and server agree")
    assert found["identity"][1] == (
        "ana (by its own word: this server does not authenticate); namespaces default, all others; "
        "roles client, console, worker; groups ops; admin no; expires never"
    )
    assert "replica r1" in found["clock"][1]
    on_a_pipe = (await shell.ok("doctor")).out.splitlines()
    assert on_a_pipe[0].startswith("python\tok\t")
    assert all(line.count("\t") == 3 for line in on_a_pipe), "check, level, message, what to do"
    assert on_a_pipe == (await shell.ok("doctor", "-o", "tsv")).out.splitlines()
    table = await shell.ok("doctor", "-o", "table")
    assert table.out.splitlines()[0].startswith("ok    python ")
    assert (await shell.ok("doctor", "-q")).out == ""
    assert (await shell.ok("job", "ls", "--json")).out == "", "it has changed something"


async def test_doctor_reports_an_unreachable_server(shell: Shell) -> None:
    target = f"127.0.0.1:{quiet_port()}"
    done = await shell.run("doctor", "--server", target, "--timeout", "0.3s", "--json")
    assert done.code == 1
    level, message = _results(done)["server"]
    assert level == "fail"
    assert target in message
    assert "health" not in _results(done)
    text = await shell.run("doctor", "--server", target, "--timeout", "0.3s", "-q", "-o", "table")
    assert text.out.splitlines()[0].startswith("fail  server ")
    assert "-> start it with `askback serve`" in text.out


async def test_doctor_reports_a_server_without_tls(lite: ServiceWorld, shell: Shell) -> None:
    done = await shell.run("doctor", "--tls", "--timeout", "0.5s", "--json")
    assert done.code == 1
    assert "does not speak TLS with us" in _results(done)["server"][1]


async def test_doctor_reports_a_port_of_another_program(shell: Shell) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await shell.run("doctor", "--server", f"127.0.0.1:{port}", "--timeout", "0.5s", "--json")
    assert done.code == 1
    assert "does not speak plaintext gRPC with us" in _results(done)["server"][1]


async def test_doctor_reports_a_server_without_our_services(shell: Shell) -> None:
    """The port answers without our services: health fails, and the contract cannot be compared."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        done = await shell.run("doctor", "--server", f"127.0.0.1:{port}", "--timeout", "2s", "--json")
    finally:
        await server.stop(0)
    found = _results(done)
    assert done.code == 1
    assert found["health"] == ("fail", "server: UNIMPLEMENTED")
    # grpc calls it INTERNAL where the refusal overtakes the request.
    refusals = {f"cannot be compared: {code}" for code in ("UNIMPLEMENTED", "INTERNAL")}
    assert found["contract"][0] == "warn"
    assert found["contract"][1] in refusals
    assert found["identity"][0] == "fail"


async def test_doctor_reports_a_server_of_another_version(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the methods that only one side knows, and the side that must be updated."""
    ours = client_contract()
    assert "JobService.CreateJob" in ours["askback/v1/job_service.proto"]
    assert "Prompt.prompt_id" in ours["askback/v1/prompt.proto"]
    newer = {**ours, "new.proto": {"JobService.Teleport"}}
    monkeypatch.setattr(server_checks, "client_contract", lambda: newer)
    found = await server_checks._check_contract(lite.channel, 5)
    assert (found.level, found.message) == ("warn", "the server lacks JobService.Teleport")
    older = {**ours, "askback/v1/stream.proto": set[str]()}
    monkeypatch.setattr(server_checks, "client_contract", lambda: older)
    found = await server_checks._check_contract(lite.channel, 5)
    assert found.message.startswith("this client lacks FrameError.code, ")
    assert found.todo == "pip install --upgrade askback"


async def test_doctor_reports_a_draining_server(lite: ServiceWorld, shell: Shell) -> None:
    assert lite.service._server is not None
    await lite.service._server.set_ready(False)
    done = await shell.run("doctor", "--json")
    assert done.code == 1
    assert _results(done)["health"][1].startswith("not serving: server, askback.v1.JobService")


@pytest.fixture
def service_with_tokens(lite_url: str, tmp_path: Path) -> dict[str, Any]:
    """Settings of a service with authentication: the token `one` has the role console, `two` worker."""
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS.format(*(hashlib.sha256(t.encode()).hexdigest() for t in ("one", "two"))))
    path.chmod(0o600)
    return {"db": lite_url, "auth": str(path)}


async def test_doctor_reports_the_identity_of_a_token(
    service_with_tokens: dict[str, Any], tmp_path: Path
) -> None:
    """No token, a wrong token, a foreign namespace, and the rights of a valid token."""
    async with serving(**service_with_tokens) as world:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")

        async def identity(*words: str, **environment: str) -> tuple[int, tuple[str, str]]:
            done = await shell.run("doctor", "--json", *words, **environment)
            return done.code, _results(done)["identity"]

        code, (level, message) = await identity()
        assert (code, level) == (1, "fail")
        assert "send a token" in message
        code, (level, message) = await identity(ASKBACK_TOKEN="wrong")
        assert (code, level) == (1, "fail")
        for token, name, role in (("one", "ana", "console"), ("two", "bob", "worker")):
            said = f"{name} (by a token); namespaces payments; roles {role}; groups none; admin no"
            said += "; expires never"
            assert await identity(ASKBACK_TOKEN=token) == (0, ("ok", said))
        code, (level, message) = await identity("--namespace", "default", ASKBACK_TOKEN="one")
        assert (code, level) == (1, "fail")
        assert "payments" in message


async def test_doctor_warns_of_a_token_that_expires_soon(
    service_with_tokens: dict[str, Any], tmp_path: Path
) -> None:
    """A warning with the remaining time."""
    path = Path(service_with_tokens["auth"])
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    path.write_text(path.read_text().replace('subject = "ana"', f'subject = "ana"\nexpires = {soon}'))
    async with serving(**service_with_tokens) as world:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}", ASKBACK_TOKEN="one")
        level, message = _results(await shell.run("doctor", "--json"))["identity"]
    assert level == "warn"
    assert re.search(r"expires in 3 d \(", message)


async def test_doctor_changes_nothing_and_looks_like_no_attack(
    lite: ServiceWorld, shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    """It calls no method that changes anything, not even with an unknown id."""
    caplog.set_level("DEBUG", "askback")
    await shell.ok("doctor")
    assert "CancelJob" not in caplog.text


async def test_a_refused_caller_exits_with_8(service_with_tokens: dict[str, Any], tmp_path: Path) -> None:
    """For every command: without a valid token, and without permission."""
    async with serving(**service_with_tokens) as world:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")
        without_token = await shell.run("job", "ls")
        assert without_token.code == 8
        assert "no token was sent" in without_token.err
        assert (await shell.run("job", "ls", ASKBACK_TOKEN="wrong")).code == 8
        assert (await shell.run("job", "start", "t", ASKBACK_TOKEN="one")).code == 8


async def test_doctor_checks_the_configuration_file(shell: Shell) -> None:
    """A token readable by others is a warning. An invalid file is a failure that names it."""
    folder = shell.home / "askback"
    folder.mkdir()
    file = folder / "config.toml"
    file.write_text('[profiles.work]\ntoken = "secret"\n')
    file.chmod(0o644)
    done = await shell.run("doctor", "--json")
    assert done.code == 0
    assert [line["todo"] for line in done.lines if line["level"] == "warn"] == [f"chmod 600 {file}"]
    assert "secret" not in done.out
    file.chmod(0o600)
    assert (await shell.ok("doctor", "-q")).out == ""
    file.write_text("profile = 1")
    broken = await shell.run("doctor", "-q")
    assert broken.code == 1
    assert str(file) in broken.out
    assert "Traceback" not in broken.err


async def test_doctor_checks_the_database_and_does_not_create_it(shell: Shell, tmp_path: Path) -> None:
    """It is read and never created, and its password is not printed."""
    absent = tmp_path / "absent.db"
    done = await shell.run("doctor", "--json", "--db", f"sqlite+aiosqlite:///{absent}")
    assert done.code == 1
    assert _results(done)["database"] == ("fail", f"there is no file {absent} yet; `askback serve` makes it")
    assert not absent.exists()
    empty = tmp_path / "empty.db"
    empty.touch()
    done = await shell.run("doctor", "--json", "--db", f"sqlite+aiosqlite:///{empty}")
    assert "run `askback migrate`" in _results(done)["database"][1]
    assert empty.stat().st_size == 0
    unreachable = f"postgresql+asyncpg://me:secret@127.0.0.1:{quiet_port()}/askback"
    done = await shell.run("doctor", "--json", "--db", unreachable)
    assert (done.code, _results(done)["database"][0]) == (1, "fail")
    assert "secret" not in done.out + done.err
    assert "mysql" in _results(await shell.run("doctor", "--json", "--db", "mysql://x"))["database"][1]


async def test_doctor_advises_to_recreate_a_database_from_before_the_first_release(
    shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE alembic_version (version_num TEXT)")
        old.execute("INSERT INTO alembic_version VALUES ('0020_requested_by')")
        old.commit()
    done = await shell.run("doctor", "--db", f"sqlite+aiosqlite:///{path}")
    line = next(line for line in done.out.splitlines() if "0020_requested_by" in line)
    assert "drop it or remove the file, then askback migrate --db URL" in done.out, line


async def test_doctor_reports_the_schema_of_each_database(migrated_db_url: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    target = f"127.0.0.1:{quiet_port()}"
    words = ["--server", target, "--timeout", "0.2s", "--db", migrated_db_url]
    level, message = _results(await shell.run("doctor", "--json", *words))["database"]
    assert level == "ok"
    assert message.endswith(f"schema {SCHEMA}")


async def test_doctor_reports_clocks_that_differ(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed from the time in a session's id."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    done = await shell.run("doctor", "--json")
    assert done.code == 0
    level, message = _results(done)["clock"]
    assert level == "warn"
    assert re.search(r"replica r1 is (1 h|59 min 5\d s) ahead of us", message)


async def test_doctor_and_the_log_say_that_conditions_of_rules_cannot_be_evaluated(
    lite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    people = TokenFile(
        tmp_path / "tokens.toml", pia={"roles": ["console", "policy"]}, root={"roles": ["admin"]}
    )

    async def examine(world: ServiceWorld, level: str) -> str:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")
        done = await shell.run("doctor", "--json", ASKBACK_TOKEN="pia-token")
        shell.end()
        found = _results(done)["rules"]
        assert found[0] == level, found
        return found[1]

    async with serving(lite_url, auth=str(people.path)) as world:
        assert await examine(world, "ok") == "the server evaluates conditions; 0 rules have one"
        policies = world.with_token("pia-token").policies
        rule = (await policies.CreateRule(create())).rule
        assert await examine(world, "ok") == "the server evaluates conditions; 1 rules have one"
    assert "cannot be evaluated" not in caplog.text

    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    async with serving(lite_url, auth=str(people.path)) as world:
        [line] = [each.getMessage() for each in caplog.records if "cannot be evaluated" in each.getMessage()]
        assert line == (
            f"rules of the namespace default cannot be evaluated, so people are asked: {rule.rule_id}@1 "
            '(the library for conditions is not installed here: pip install "askback[rules]")'
        )
        said = await examine(world, "warn")
        assert said.startswith(
            "the server does not evaluate conditions: the library is not installed, and 1 rules"
        )
        policies = world.with_token("pia-token").policies
        await policies.DeleteRule(policy.DeleteRuleRequest(rule_id=rule.rule_id))
        assert "no rule has one" in await examine(world, "ok")
