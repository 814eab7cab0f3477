"""Bearer tokens of a token file, as clients of each role use them."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from askback import Client, PermissionDenied, Unauthenticated, Worker
from tests.support.processes import Processes, Server

ROLES = ("client", "worker", "console", "admin")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one token for each role: `client-token`, and so on."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    path.write_text(
        "\n".join(
            f'[[tokens]]\nsha256 = "{hashlib.sha256(f"{role}-token".encode()).hexdigest()}"\n'
            f'subject = "the {role}"\nroles = ["{role}"]\nnamespaces = ["default"]\n'
            for role in ROLES
        )
    )
    return path


@pytest.fixture(scope="module")
def server(tokens: Path) -> Iterator[Server]:
    """A server that requires tokens, shared by the tests of this module."""
    server = Server("server", f"sqlite+aiosqlite:///{tokens.parent / 'a.db'}", tokens.parent, auth=tokens)
    try:
        asyncio.run(server.serve())
        yield server
    finally:
        server.kill()


def _client(server: Server, role: str) -> Client:
    return Client(server.target, token=f"{role}-token")


@contextlib.asynccontextmanager
async def _run_worker(server: Server, token: str) -> AsyncIterator[None]:
    worker = Worker(server.target, worker_id="w", token=token)

    @worker.job("nod")
    async def nod(job, what: str) -> str:  # type: ignore[no-untyped-def]
        consent = await job.confirm(what, key="ok")
        return f"{consent.by}: {bool(consent)}"

    async with worker:
        yield


async def test_each_role_may_make_its_calls(server: Server) -> None:
    """A job from start to result. The token decides who acts, not the `user` of the client."""
    async with (
        _client(server, "client") as client,
        Client(server.target, token="console-token", user="mallory") as mallory,
        mallory.console() as console,
        _run_worker(server, "worker-token"),
    ):
        run = await client.start("nod", {"what": "Really?"})
        async for prompt in console.prompts():  # the server has prompts of other tests as well
            if prompt.job_id == run.job_id:
                await prompt.approve()
                break
        assert await run.result() == "the console: True"
        job = await run.job()
        assert job.proto.user_id == "the client"
        async with _client(server, "admin") as admin:
            assert (await admin.get(run.job_id)).job_id == run.job_id


async def test_a_call_of_another_role_is_refused(server: Server) -> None:
    """PERMISSION_DENIED names the role that the call needs."""
    async with _client(server, "client") as client, _client(server, "console") as console:
        run = await client.ask("Really?")
        assert run.prompt is not None
        with pytest.raises(PermissionDenied, match="needs the role client"):
            await console.start("nod", {"what": "x"})
        with pytest.raises(PermissionDenied, match="needs the role console"):
            await client.answer(run.prompt, "ACCEPT")
        with pytest.raises(PermissionDenied, match="console"):
            async with client.console():
                pass
        with pytest.raises(PermissionDenied, match="needs the role worker"):
            async with _run_worker(server, "client-token"):
                pass
        with pytest.raises(PermissionDenied, match="namespace 'theirs' is not yours"):
            await Client(server.target, token="client-token", namespace="theirs").start("nod")
        assert not [a async for a in console.answers(run.prompt.prompt_id)]


@pytest.mark.parametrize("token", ["nonsense", None])
async def test_a_wrong_token_is_refused(server: Server, token: str | None) -> None:
    """In every kind of call, without retries, and with a message that helps."""
    words = "token is not known here" if token else "authorization: Bearer"
    async with Client(server.target, token=token, user="ana") as client:
        with pytest.raises(Unauthenticated, match=words) as refused:
            await asyncio.wait_for(client.start("nod", {"what": "x"}), 20)
        assert refused.value.reason == "ERROR_REASON_UNAUTHENTICATED"
        with pytest.raises(Unauthenticated, match=words):
            async with asyncio.timeout(20), client.console():
                pass
        with pytest.raises(Unauthenticated, match=words):
            async with asyncio.timeout(20), _run_worker(server, token or ""):
                pass
    assert "nonsense" not in server.log


async def test_a_server_without_authentication_does_not_listen_on_all_addresses(
    processes: Processes, tmp_path: Path
) -> None:
    """It exits with 2, and says what to do."""
    command = ["serve", "--listen", "0.0.0.0:0"]
    command += ["--db", f"sqlite+aiosqlite:///{tmp_path / 'open.db'}"]
    unprotected = processes.askback("open", *command)
    assert await unprotected.wait_for_end() == 2
    assert "no authentication is set: give --auth TOKENFILE, or listen on 127.0.0.1" in unprotected.log
    assert not (tmp_path / "open.db").exists()


async def test_a_wrong_token_file_fails_the_start(processes: Processes, tokens: Path, tmp_path: Path) -> None:
    """Exit code 1; the message names the entry at fault."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(tokens.read_text().replace('roles = ["admin"]', 'roles = ["king"]'))
    command = ["serve", "--listen", "127.0.0.1:0"]
    command += ["--db", f"sqlite+aiosqlite:///{tmp_path / 'a.db'}", "--auth", str(wrong)]
    refused = processes.askback("refused", *command)
    assert await refused.wait_for_end() == 1
    assert "entry 4 (the admin): roles has 'king'" in refused.log
    assert "Traceback" not in refused.log
