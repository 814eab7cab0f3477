"""whoami, claim, release, update, delete; the output of `ask`, and of a command that waits for a job."""

import asyncio
import hashlib
import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback._client.client import Client
from askback._model.jobs import JobInfo
from askback._wire.calls import Calls
from askback._wire.channel import Endpoint
from askback.cli.connection import Connection
from askback.cli.context import CommandContext
from askback.cli.job import change as change_module
from askback.cli.job import start as start_module
from askback.cli.output import Output
from askback.errors import AskbackError, Unavailable
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.transport import tokens
from tests.support.requests import CANCELLED, audience, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell


async def test_whoami_prints_the_principal(lite: ServiceWorld, shell: Shell) -> None:
    text = (await shell.ok("whoami", "--user", "ana", "--group", "ops")).out
    rows = dict(line.split("\t") for line in text.splitlines())
    assert rows == {
        "subject": "ana",
        "known by": "its own word: this server does not authenticate",
        "namespaces": "default, all others",
        "roles": "client, console, worker",
        "groups": "ops",
        "admin": "no",
        "expires": "never",
    }
    tsv = (await shell.ok("whoami", "-o", "tsv", "--user", "ana")).out.splitlines()
    assert tsv[:2] == ["subject\tana", "authentication\tNONE"]
    assert 'roles\t["client", "console", "worker"]' in tsv
    found = (await shell.ok("whoami", "--json")).json
    assert (found["subject"], found["roles"]) == ("ana", ["client", "console", "worker"])
    record = dict(line.split("\t") for line in (await shell.ok("whoami", "-o", "tsv")).out.splitlines())
    assert (record["subject"], json.loads(record["roles"])) == (found["subject"], found["roles"])
    # On this machine, the login name is the user.
    assert (await shell.ok("whoami", "--json", ASKBACK_USER="", USER="eve")).json["subject"] == "eve"


async def test_a_new_token_is_accepted_at_once_and_refused_when_revoked(
    lite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next call: how often the server looks at the file is a matter of tests/unit/test_tokens.py."""
    monkeypatch.setattr(tokens, "_RECHECK_SECONDS", 0.0)
    path = tmp_path / "tokens.toml"
    digest = hashlib.sha256(b"root").hexdigest()
    fields = f'sha256 = "{digest}"\nsubject = "root"\nroles = ["admin"]\nnamespaces = ["*"]\n'
    path.write_text(f"[[tokens]]\n{fields}")
    path.chmod(0o600)
    async with serving(lite_url, auth=str(path)) as world:
        shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}", ASKBACK_AUTH=str(path), USER="eve")
        words = ("--role", "console", "--namespace", "pay", "--expires", "30d")
        token = (await shell.ok("token", "add", "ana", *words)).out.strip()

        found = (await shell.ok("whoami", "--json", ASKBACK_TOKEN=token)).json
        assert (found["subject"], found["roles"], found["namespaces"]) == ("ana", ["console"], ["pay"])
        assert found["authentication"] == "TOKEN"
        assert "expireTime" in found
        await shell.ok("token", "revoke", "ana")
        assert (await shell.run("whoami", ASKBACK_TOKEN=token)).code == 8
        without_token = await shell.run("whoami")
        assert (without_token.code, "send a token" in without_token.err) == (8, True)


async def test_inbox_claim_and_release_hold_a_prompt(lite: ServiceWorld, shell: Shell) -> None:
    prompt = await lite.create_prompt(confirm("Pay?"))
    taken = await shell.ok("inbox", "claim", prompt.prompt_id[-6:], "--for", "1h", "--user", "ana")
    assert re.fullmatch(r"Claimed: Pay\?; the claim ends in (1 h|59 min|60 min) \(.*\)\n", taken.out)
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == "ana"
    other = await shell.run("inbox", "claim", prompt.prompt_id, "--user", "bob")
    assert (other.code, other.err.startswith("askback: the prompt is claimed by ana")) == (4, True)
    released = await shell.ok("inbox", "release", prompt.prompt_id, "--user", "ana", "--json")
    assert released.json["promptId"] == prompt.prompt_id
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == ""
    assert (await shell.run("inbox", "claim", "nowhere", "--user", "ana")).code == 3


async def test_job_update_changes_only_the_named_fields(lite: ServiceWorld, shell: Shell) -> None:
    job = await lite.create("refund", labels={"a": "1", "b": "2"})
    words = (
        "--label",
        "c=3",
        "--label",
        "a=9",
        "--remove-label",
        "b",
        "--retention",
        "1d12h",
        "--priority",
        "7",
    )
    await shell.ok("job", "update", job.job_id[-8:], *words)
    changed = await lite.job(job.job_id)
    assert (dict(changed.labels), changed.priority) == ({"a": "9", "c": "3"}, 7)
    assert changed.retention.seconds == 36 * 3600
    assert (await shell.ok("job", "update", job.job_id, "--promoted", "--json")).json["labels"] == {
        "a": "9",
        "c": "3",
    }
    for wrong, says in (
        ((), "say what to change"),
        (("--remove-label", "zz"), "the job has no label zz"),
        (("--label", "a=1", "--remove-label", "a"), "both name a"),
        (("--label", "a=1", "--label", "a=2"), "a can have one value, not '1' and '2'"),
        (("--priority", "5000"), "--priority: must be between -1000 and 1000"),
    ):
        done = await shell.run("job", "update", job.job_id, *wrong)
        assert (done.code, says in done.err) == (2, True), done
    assert dict((await lite.job(job.job_id)).labels) == {"a": "9", "c": "3"}


async def test_job_update_keeps_labels_set_by_another_caller(lite: ServiceWorld) -> None:
    """Labels are replaced as a whole. One that was set between the read and the write must stay."""
    job = await lite.create("refund", labels={"a": "1"})
    server = f"127.0.0.1:{lite.service.port}"
    async with Client(server) as client, Client(server) as other:
        read = client.get

        async def overtaken(job_id: str) -> JobInfo:
            found = await read(job_id)
            if "theirs" not in found.labels:
                await other.update(job_id, labels={**found.labels, "theirs": "2"})
            return found

        client.get = overtaken  # type: ignore[method-assign, assignment]
        function = inspect.unwrap(change_module.update.callback)  # type: ignore[arg-type]
        nothing: dict[str, Any] = {"removed": (), "priority": None, "retention": None, "promoted": None}
        session = CommandContext(client, Output(), Connection(server))
        await function(session, job.job_id, label_pairs=("ours=3",), **nothing)
    assert dict((await lite.job(job.job_id)).labels) == {"a": "1", "theirs": "2", "ours": "3"}


async def test_job_delete_confirms_and_accepts_only_ended_jobs(lite: ServiceWorld, shell: Shell) -> None:
    done, runs = await lite.create(), await lite.create()
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=done.job_id))
    unasked = await shell.run("job", "delete", done.job_id)
    assert (unasked.code, "--yes must say" in unasked.err) == (2, True)
    assert (await lite.job(done.job_id)).state == CANCELLED
    both = await shell.run("job", "delete", done.job_id, runs.job_id, "--yes")
    assert (both.code, both.out) == (4, f"job {done.job_id} is deleted\n")
    assert "cancel it first" in both.err
    assert (await shell.run("job", "show", done.job_id)).code == 3


async def test_ask_prints_commands_that_answer(lite: ServiceWorld, shell: Shell) -> None:
    """The commands name the asker's server from its environment, and a user who may answer."""
    asking = await shell.start("ask", "Sure?", "--to", "group:ops", "--user", "eve")
    printed = await asking.wait_for_line("to answer: ", on="err")
    command = shlex.split(printed.partition("to answer: ")[2])
    assert command[:3] == ["askback", "inbox", "approve"]
    assert command[-2:] == ["--group", "ops"]
    assert "eve" not in command
    elsewhere = Shell(shell.home / "other")
    (shell.home / "other").mkdir()
    await elsewhere.ok(*command[1:], "--yes", "--user", "bob")
    done = await asking.result()
    assert (done.code, done.out) == (0, "yes, by bob\n")
    choice = await shell.start("ask", "Where?", "--choice", "a,b", "--to", "user:zoe")
    printed = await choice.wait_for_line("to answer: ", on="err")
    assert re.search(r"askback inbox answer [0-9a-f]{8} --server 127\.0\.0\.1:\d+ --user zoe\n", printed)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (("--choice", "a,b", "--default", "a"), '{"value": "a"}'),
        (("--choice", "a=Alpha", "--choice", "b", "--default", "Alpha"), '{"value": "a"}'),
        (("--choice", "yes", "--choice", "no", "--default", "no"), '{"value": "no"}'),
        (("--form", "f.json", "--default", '{"n": 3}'), '{"n": 3}'),
        (("--form", "@f.json", "--default", "@v.json"), '{"n": 4}'),
        (("--kind", "clarify", "--default", "as you like"), "as you like"),
    ],
)
async def test_ask_sends_a_default_that_fits_the_question(
    shell: Shell, words: tuple[str, ...], out: str
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    (shell.home / "f.json").write_text(json.dumps(schema))
    (shell.home / "v.json").write_text('{"n": 4}')
    run = await shell.ok("ask", "Where?", *words, "--deadline", "1s", "--no-wait", "--json")
    shown = (await shell.ok("job", "show", run.json["jobId"], "--json")).json["prompts"][0]
    default = shown["content"]["defaultAnswer"]
    assert (json.dumps(default["values"]) if "values" in default else default["comment"]) == out


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--choice", "a,b", "--default", "c"), "--default must be one of: a, b (not 'c')"),
        (("--default", "maybe"), "--default must be one of: yes, no (not 'maybe')"),
        (("--form", "f.json", "--default", '{"m": 3}'), "--default m: is not a field of this form"),
        (("--form", "f.json", "--default", "3"), "--default: with --form it is a JSON object of values"),
        (("--form", "@x", "--default", "{}"), "--form: x cannot be read: No such file or directory"),
    ],
)
async def test_ask_refuses_a_default_that_does_not_fit(
    shared_lite: ServiceWorld, shared_shell: Shell, words: tuple[str, ...], says: str
) -> None:
    (shared_shell.home / "f.json").write_text(
        '{"type": "object", "properties": {"n": {}}, "additionalProperties": false}'
    )
    done = await shared_shell.run("ask", "Where?", *words, "--deadline", "1h")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"askback: {says}"
    assert not (await shared_lite.hitl.ListPrompts(hitl.ListPromptsRequest())).prompts


async def test_repeated_labels_are_alternatives(lite: ServiceWorld, shell: Shell) -> None:
    """Values of one label are combined by OR, different labels by AND; for jobs and for prompts."""
    for number, labels in enumerate(({"set": "odd", "p": "1"}, {"set": "long"}, {"set": "even"})):
        await lite.create(f"t{number}", labels=labels, prompt=confirm(labels=labels))
    odd_or_long = ("--label", "set=odd", "--label", "set=long")
    for words, expected in (
        (odd_or_long, {"t0", "t1"}),
        ((*odd_or_long, "--label", "p=1"), {"t0"}),
        (("--label", "set=even"), {"t2"}),
        ((*odd_or_long, "--label", "p=2"), set()),
    ):
        for command in ("job", "inbox"):
            found = (await shell.ok(command, "ls", *words, "--json")).lines
            assert {one["jobType"] for one in found} == expected, (command, words)


async def test_job_start_says_what_a_job_is_waiting_for(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a while it names a worker, a time or people as the reason. A job that ends before prints none."""
    monkeypatch.setattr(start_module, "QUIET_SECONDS", 0.05)
    server = f"127.0.0.1:{lite.service.port}"
    async with Client(server) as client:
        session = CommandContext(client, Output(), Connection(server))
        for job, says in (
            (await lite.create("nosuchtype"), "for the job type 'nosuchtype' if no worker serves it"),
            (await lite.create("t", prompt=confirm(audience=audience("x"))), "waits for people: 1 question"),
        ):
            waiting = asyncio.create_task(start_module._wait_for_result(session, job.job_id))
            said = ""
            async with asyncio.timeout(10):
                while says not in said:
                    await asyncio.sleep(0.01)
                    said += capsys.readouterr().err
            assert f"askback explain {job.job_id}" in said
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_a_failed_job_is_not_an_error_of_the_command_line(lite: ServiceWorld, shell: Shell) -> None:
    waiting = await shell.start("job", "start", "t", "--wait", "--max-attempts", "1")
    [lease] = (await lite.lease()).jobs
    failure = job_pb2.Failure(code="ValueError", message="no such order")
    request = workers.FailJobRequest(job_id=lease.job.job_id, token=lease.token, failure=failure)
    await lite.workers.FailJob(request)
    done = await waiting.result()
    assert done.code == 5
    assert done.err.splitlines()[-1] == f"job {lease.job.job_id} failed: ValueError: no such order"


async def test_the_server_is_named_while_a_call_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once per call, with the newest error, and not for a call that is answered."""
    monkeypatch.setattr("askback._wire.calls.NOTICE_SECONDS", 0.05)
    told: list[AskbackError | None] = []
    answered = asyncio.Event()

    class Dead(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            if "Health" in details.method:
                return None

            async def refuse(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
                if not answered.is_set():
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "http2 header with status: 502")
                return b""

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Dead(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    calls = Calls(Endpoint(f"127.0.0.1:{port}"), deadline=30)
    calls.on_silence = lambda error, left: (told.append(error), answered.set())
    try:
        await calls.unary(calls.jobs.GetJob, jobs.GetJobRequest())
        [error] = told
        assert error is None or isinstance(error, Unavailable)
    finally:
        await calls.aclose()
        await server.stop(0)
