"""The most frequent errors as screens: one line or two, in our words and without repetition."""

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from askback.v1 import prompt_pb2 as prompts
from tests.support.authority import Authority
from tests.support.processes import quiet_port
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.shell import ASKBACK, CommandResult, Shell

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

AGO = re.compile(r"(\d+ s ago|just now) \([^)]*\)")


def screen(done: CommandResult, **names: object) -> tuple[int, str]:
    """Exit code and stderr. Values that differ between runs are replaced by their name: `{port}`."""
    text = done.err
    for name, value in names.items():
        text = text.replace(str(value), "{" + name + "}")
    return done.code, AGO.sub("a moment ago", ID.sub("{id}", text))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def secure(lite_url: str, tmp_path: Path, authority: Authority) -> AsyncIterator[Shell]:
    """Runs commands against a server with TLS and tokens."""
    authority.server().put(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "other.crt").write_bytes(Authority("a stranger").pem)
    fields = 'subject = "ana"\nroles = ["console"]\nnamespaces = ["default"]\n'
    digest = hashlib.sha256(b"right").hexdigest()
    (tmp_path / "tokens.toml").write_text(f'[[tokens]]\nsha256 = "{digest}"\n{fields}')
    files = {"tls_cert": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}
    async with serving(lite_url, auth=str(tmp_path / "tokens.toml"), **files) as world:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")
        try:
            yield shell
        finally:
            shell.end()


async def _process(shell: Shell, *words: str) -> CommandResult:
    """Run `askback` in a new process: a forked one has gRPC loaded already, with its log."""
    process = await asyncio.create_subprocess_exec(
        ASKBACK,
        *words,
        env=shell.environment,
        cwd=shell.home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return CommandResult(process.returncode or 0, out.decode(), err.decode())


async def test_the_error_says_that_nothing_listens(shell: Shell) -> None:
    port = quiet_port()
    assert screen(await shell.run("job", "ls", "--server", f"127.0.0.1:{port}"), port=port) == (
        7,
        "askback: nothing listens on 127.0.0.1:{port} (connection refused): start it with `askback serve`, "
        "or correct the address\n",
    )


async def test_errors_say_which_tls_option_or_token_is_missing(secure: Shell) -> None:
    port = secure.environment["ASKBACK_SERVER"].rpartition(":")[2]
    ca = ("--ca", "ca.crt")
    for words, expected in (
        (
            (),
            (
                7,
                "askback: 127.0.0.1:{port} speaks TLS: add --ca FILE (in a program "
                "tls=Tls.from_files(ca=FILE)), or --tls if a public authority signed its certificate\n",
            ),
        ),
        (
            ("--ca", "other.crt"),
            (
                7,
                "askback: 127.0.0.1:{port}: certificate signed by an unknown authority: give the authority's "
                "certificate with --ca FILE\n",
            ),
        ),
        (
            ca,
            (
                8,
                "askback: send a token: metadata `authorization: Bearer <token>`\n"
                "  (no token was sent: set ASKBACK_TOKEN, or put one into a profile)\n",
            ),
        ),
        (
            (*ca, "--token", "wrong"),
            (8, "askback: the token is not known here; check it, or ask for a new one\n"),
        ),
        (
            (*ca, "--token", "right"),
            (
                8,
                "askback: this call needs the role client or worker\n"
                "  (`askback whoami` says what you may do)\n",
            ),
        ),
    ):
        assert screen(await _process(secure, "job", "ls", *words), port=port) == expected, words
    doctor = await secure.run("doctor", "-q", "--ca", "other.crt")
    assert "certificate signed by an unknown authority" in doctor.out
    assert "does not speak TLS" not in doctor.out


async def test_serve_reports_a_port_in_use(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = await shell.run("serve", "--listen", f"127.0.0.1:{port}", "--db", "sqlite:///a.db")
    assert screen(done, port=port) == (
        1,
        "askback: cannot start: 127.0.0.1:{port} is in use: choose another with --listen\n",
    )


async def test_errors_name_unknown_ids_wrong_choices_and_late_answers(
    lite: ServiceWorld, shell: Shell
) -> None:
    """An unknown job or prompt, a wrong choice, and an answer that came too late."""
    [job] = [await lite.create()]
    choice = prompts.SingleInput(options=[prompts.Option(value=value) for value in ("staging", "production")])
    asked = await lite.create_prompt(
        confirm(
            "Where?",
            kind="clarify",
            questions=prompts.QuestionForm(
                questions=[prompts.Question(question_id="where", title="W?", required=True, single=choice)]
            ),
        )
    )
    gone = await lite.create_prompt(confirm("Pay?"))
    await lite.as_user("bob").hitl.AnswerPrompt(answer(gone))
    see = "  (see `askback inbox answer --help`)\n"
    for words, expected in (
        (
            ("job", "show", job.job_id[:-1] + ("0" if job.job_id[-1] != "0" else "1")),
            (3, "askback: there is no job '{id}'; check the id and the namespace\n"),
        ),
        (
            ("inbox", "show", "ffffffff"),
            (
                3,
                "askback: there is no prompt whose id ends in 'ffffffff' for you; a handle is the end of an "
                "id\n",
            ),
        ),
        (
            ("inbox", "answer", asked.prompt_id, "where=mars"),
            (2, "askback: where: 'mars' is not offered; it must be one of: staging, production\n" + see),
        ),
        (
            ("inbox", "answer", asked.prompt_id, "place=mars"),
            (2, "askback: the form has no field 'place'; its fields: where\n" + see),
        ),
        (
            ("inbox", "answer", gone.prompt_id, "--decision", "reject"),
            (
                4,
                "askback: CLOSED: answered by bob a moment ago: ACCEPT; your answer came too late, was kept "
                "for the record and changes nothing\n",
            ),
        ),
        (
            ("ask", ""),
            (2, "askback: TITLE: is required\n"),
        ),
        (
            ("ask", "Go?", "--kind", "Has Space!"),
            (
                2,
                "askback: --kind: 'Has Space!' is not a kind: it must be 1 to 128 letters, digits, '_', '.' "
                "or '-', starting with a letter\n",
            ),
        ),
        (
            ("job", "start", "a b", "--priority", "5000"),
            (
                2,
                "askback: JOB_TYPE: must be 1 to 128 letters, digits, '_', '.', '-' or '/', starting with a "
                "letter or digit\n  --priority: must be between -1000 and 1000\n",
            ),
        ),
    ):
        assert screen(await shell.run(*words)) == expected, words


async def test_serve_reports_databases_that_cannot_be_used(shell: Shell) -> None:
    port = quiet_port()
    away = f"postgresql://ana:secret@127.0.0.1:{port}/askback"
    refused = "connection refused: see that PostgreSQL runs there, and that the database URL is right\n"
    for words, expected in (
        (("migrate", "--db", away), (1, "askback: cannot migrate: 127.0.0.1:{port}: " + refused)),
        (
            ("serve", "--listen", "127.0.0.1:0", "--db", away),
            (1, "askback: cannot start: cannot reach PostgreSQL at 127.0.0.1:{port}: " + refused),
        ),
        (
            ("migrate", "--db", "mysql://ana:secret@host/askback"),
            (
                2,
                "askback: --db mysql://ana:***@host/askback: use sqlite+aiosqlite:///FILE or "
                "postgresql+asyncpg://USER@HOST/NAME\n",
            ),
        ),
        (
            ("serve", "--db", "mysql://host/askback"),
            (
                2,
                "askback: --db mysql://host/askback: use sqlite+aiosqlite:///FILE or "
                "postgresql+asyncpg://USER@HOST/NAME\n",
            ),
        ),
        (
            ("migrate", "--db", "sqlite:////no/such/folder/a.db"),
            (
                1,
                "askback: cannot migrate: /no/such/folder/a.db cannot be opened: No such file "
                "or directory; there is no folder /no/such/folder\n",
            ),
        ),
    ):
        assert screen(await shell.run(*words), port=port) == expected, words


async def test_the_error_names_a_web_server_on_the_port(shell: Shell) -> None:
    """A web server on the port."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await shell.run("job", "ls", "--server", f"127.0.0.1:{port}")
        health = await shell.run("health", "--server", f"127.0.0.1:{port}")
    said = (
        "askback: 127.0.0.1:{port} is an HTTP/1.1 server, not an Askback: check the port, or the proxy's "
        "HTTP/2 setting\n"
    )
    assert screen(done, port=port) == (7, said)
    assert screen(health, port=port) == (7, said)
