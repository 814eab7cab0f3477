"""`askback job watch` and `askback ask` across a kill -9 of the server."""

import json

from askback import Client
from tests.e2e import load
from tests.support.processes import Processes, eventually


async def test_job_watch_continues_after_a_server_restart(processes: Processes, migrated_db_url: str) -> None:
    """It prints every event once and in order, and exits with the code of the job's end."""
    server = await processes.server(migrated_db_url)
    load.start_worker(processes, server.target, "worker")
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["colour"]})
        address = {"ASKBACK_SERVER": server.target}
        as_json = processes.askback("json", "job", "watch", run.job_id, "--json", **address)
        as_text = processes.askback("text", "job", "watch", "-v", run.job_id, **address)
        shown = await anext(console.prompts())
        await eventually(lambda: '"PROMPT_ASKED"' in as_json.out, "the question is printed as JSON")
        await eventually(lambda: "asks:" in as_text.out, "the question is printed as text")

        await server.crash_and_serve()
        await console.caught_up.wait()
        await shown.answer("green")

        assert await as_json.wait_for_end() == 0, as_json.story()
        assert await as_text.wait_for_end() == 0, as_text.story()
        printed = [json.loads(line) for line in as_json.out.splitlines()]
        events = [event async for event in run.watch()]
        assert [(e["seq"], e["type"]) for e in printed] == [(e.seq, e.type) for e in events]
        assert [line.split("\t")[1] for line in as_text.out.splitlines()] == [str(e.seq) for e in events]
        # On a busy machine the outage may last long enough to be reported.
        reports = f"{as_json.log}{as_text.log}".splitlines()
        assert not [line for line in reports if not line.startswith("JobService.WatchJob: ")], reports


async def test_ask_continues_after_a_server_restart(processes: Processes, migrated_db_url: str) -> None:
    server = await processes.server(migrated_db_url)
    async with Client(server.target, user="ana") as client, client.console() as console:
        asking = processes.askback("ask", "ask", "Deploy?", ASKBACK_SERVER=server.target)
        await anext(console.prompts())
        await server.crash_and_serve()
        await console.caught_up.wait()
        [prompt] = [p async for p in client.prompts()]
        await client.answer(prompt, "ACCEPT", comment="go")
        assert await asking.wait_for_end() == 0, asking.story()
        assert asking.out == "yes, by ana: go\n"
