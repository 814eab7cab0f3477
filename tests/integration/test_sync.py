"""askback.sync against a real server: threads, notebooks, Ctrl-C, time limits, forks and process exit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from askback import Job, Worker
from askback.sync import Client, JobFailed, NotFound, PromptInfo, PromptOrder, Verdict
from askback.sync.loop_thread import loop_thread
from askback.testing import Human, Server

worker = Worker()


class Plan(BaseModel):
    target: str


@worker.job("refund")
async def refund(job: Job, order: str) -> str:
    if order == "broken":
        raise ValueError("no such order")
    ok = await job.confirm(f"Pay {order}?", key="pay")
    return f"{order}: {ok.by}"


@pytest.fixture
def client(askback_server: Server) -> Any:
    with Client(user="ana") as client:
        yield client


async def test_a_job_from_start_to_result(askback_server: Server, client: Client) -> None:
    """A client inside a running event loop, as in a notebook. The worker has another loop."""
    await askback_server.work(worker)

    def program() -> None:
        run = client.start("refund", {"order": "A-17"}, labels={"team": "blue"})
        with client.console() as desk:
            assert desk.caught_up.wait(timeout=10)
            prompt = next(desk.prompts())
            assert (prompt.title, prompt.still_open) == ("Pay A-17?", True)
            outcome = prompt.approve(comment="checked")
            assert outcome.prompt.state == "ANSWERED"
        assert run.result(timeout=timedelta(seconds=30)) == "A-17: ana"
        assert client.run(run.job_id, returns=str).result() == "A-17: ana"
        types = [event.type for event in run.watch()]
        assert (types[0], types[-1]) == ("JOB_CREATED", "JOB_COMPLETED")
        assert [job.job_id for job in client.list(labels={"team": "blue"})] == [run.job_id]
        assert [answer.comment for answer, _ in client.answers(prompt.prompt_id)] == ["checked"]
        assert client.get(run.job_id).state == "COMPLETED"
        client.delete(run.job_id)
        with pytest.raises(NotFound):
            run.job()
        with pytest.raises(JobFailed, match="no such order"):
            client.start("refund", {"order": "broken"}, max_attempts=1).result()

    await asyncio.to_thread(program)


async def test_sync_calls_work_inside_a_running_event_loop(client: Client) -> None:
    """The call blocks this loop, as a cell of a notebook does anyway."""
    run = client.ask("Deploy?", kind="clarify", form=Plan)
    [prompt] = client.prompts(job_id=run.job_id)
    client.answer(prompt, "RESPOND", values={"target": "staging"}, comment="go")
    verdict: Verdict[Plan] = run.result()
    assert verdict.values == Plan(target="staging")


def test_closed_prompts_are_listed_by_their_end(client: Client) -> None:
    titles = ["One?", "Two?", "Three?"]
    for title in titles:
        [prompt] = client.prompts(job_id=client.ask(title, request_id=title).job_id)
        client.answer(prompt, "ACCEPT")
    latest = client.prompts(order=PromptOrder.CLOSE_TIME)
    assert [prompt.title for prompt in latest] == ["Three?", "Two?", "One?"]
    page = client.prompt_page(order="CLOSE_TIME", page_size=2)
    assert ([p.title for p in page.prompts], page.total) == (["Three?", "Two?"], -1)
    assert repr(page) == "<PromptPage of 2 prompts, not counted>"
    page = client.prompt_page(order="CLOSE_TIME", page_size=2, page_token=page.next_page_token)
    assert ([p.title for p in page.prompts], page.next_page_token) == (["One?"], "")


def test_the_scripted_human_answers_sync_programs(human: Human) -> None:
    human.on("Deploy?").approves()
    with Client() as client:
        assert client.ask("Deploy?").result(timeout=30)


def test_many_threads_share_one_sync_client(client: Client) -> None:
    def ask(number: int) -> str:
        run = client.ask(f"Number {number}?")
        [prompt] = client.prompts(job_id=run.job_id)
        client.answer(prompt, "ACCEPT", comment=str(number))
        return run.result().comment

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(24))) == [str(number) for number in range(24)]
    assert len([t for t in threading.enumerate() if t.name == "askback.sync"]) == 1


def test_a_time_limit_ends_the_wait_and_not_the_job(client: Client) -> None:
    run = client.ask("Deploy?")
    with pytest.raises(TimeoutError, match=rf"job {run.job_id} has no result after 0.05 s; the job goes on"):
        run.result(timeout=0.05)
    assert run.job().state == "PENDING_HITL"


def test_ctrl_c_cancels_the_call_and_leaves_the_client_usable(client: Client) -> None:
    ended = threading.Event()

    async def wait_for_ever() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            ended.set()

    # A background job of a shell ignores SIGINT, a terminal does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop_thread().call(wait_for_ever())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()  # when it is raised, the call is over
    assert client.ask("Still there?").job().state == "PENDING_HITL"


def test_leaving_a_sync_iterator_early_ends_its_stream(askback_server: Server, client: Client) -> None:
    run = client.ask("Deploy?")
    for found in client.watch_prompts(job_id=run.job_id):
        assert isinstance(found, PromptInfo)
        break
    streams = askback_server.replica._service.replica.streams  # type: ignore[attr-defined]

    async def wait_until_ended() -> None:
        async with asyncio.timeout(10):
            while len(streams):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    askback_server.submit(wait_until_ended()).result(15)


PROGRAM = """
import os, sys
from askback.sync import Client

client = Client(sys.argv[1], user="ana")  # made at import, as by gunicorn --preload
way = sys.argv[2]

def ask():
    return str(client.ask("Deploy?").job().state)

if way != "made":
    ask()
if way == "used and closed":
    client.close()
pids = []
for _ in range(2):
    pid = os.fork()
    if pid:
        pids.append(pid)
        continue
    try:
        found = ask()
    except RuntimeError as error:
        found = f"RuntimeError {error}"
    sys.stdout.write(found + "\\n")
    sys.stdout.flush()
    sys.exit(0)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids], flush=True)
print("the parent", ask(), flush=True)
# And the end of the process, with a client that was not closed and an iterator that was not left.
events = client.ask("Deploy?").watch()
next(events)
"""


@pytest.mark.parametrize("way", ["made", "used", "used and closed"])
def test_a_sync_client_works_or_raises_after_forks_and_at_exit(askback_server: Server, way: str) -> None:
    """The call works or raises with a reason, like the asynchronous client. It does not hang or print."""
    kept = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    environment = {**kept, "GRPC_VERBOSITY": "NONE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, askback_server.target, way],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "[0, 0]" in lines
    assert "the parent PENDING_HITL" in lines
    if way == "used":
        assert done.stdout.count("gRPC does not survive a fork") == 2
    else:
        assert lines.count("PENDING_HITL") == 2
