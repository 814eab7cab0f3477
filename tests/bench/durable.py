"""The durable floor: the relay with the same commits as Askback, by raw prepared statements.

Two commits a trip and two a job (a job is leased by the commit that creates it, if a worker is free), each on
disk before anything is sent. What arrives during a commit is written by the next one (group commit). It
checks nothing, guards nothing and reads nothing back.

python -m tests.bench.durable --db FILE | postgresql://...
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from askback.v1 import job_pb2, prompt_pb2
from askback_server.__main__ import _loop_factory
from tests.bench.durable_stores import PostgresStore, Row, SQLiteStore, Store
from tests.bench.relay import Change, Relay, serve

EVENTS = {
    "create": "JOB_CREATED",
    "lease": "JOB_LEASED",
    "complete": "JOB_COMPLETED",
    "ask": "PROMPT_ASKED",
    "answer": "PROMPT_ANSWERED",
}


class DurableRelay(Relay):
    """A relay that stores every change before it sends anything about it."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._pending: list[tuple[Sequence[Row], Callable[[], None]]] = []
        self._wake = asyncio.Event()

    def commit(
        self,
        change: Change,
        job: job_pb2.Job,
        prompt: prompt_pb2.Prompt | None,
        then: Callable[[], None],
    ) -> None:
        """Add the rows to the next commit."""
        self._pending.append((rows(change, job, prompt, self._store.time), then))
        self._wake.set()

    async def write(self) -> None:
        """Commit until cancelled: all pending changes at once."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changes, self._pending = self._pending, []
            await self._store.write([row for rows, _ in changes for row in rows])
            for _, then in changes:
                then()


def rows(
    change: Change, job: job_pb2.Job, prompt: prompt_pb2.Prompt | None, time: Callable[[datetime], Any]
) -> list[Row]:
    """The rows that a change writes, each with the name of its statement."""
    at = time(datetime.now(UTC))
    event = "add_event", (job.job_id, job.version, EVENTS[change], at, _details(prompt))
    if change == "create":
        created = (job.job_id, job.job_type, job.request_id, job.state, job.version, at, job.input_json, None)
        return [("add_job", created), event]
    changed = (
        job.state, job.version, job.worker_id, int(change == "ask"), at, job.result_json or None,
        job.job_id, job.version - 1,
    )  # fmt: skip
    written: list[Row] = [("change_job", changed), event]
    if prompt is not None and change == "ask":
        content = prompt.content.SerializeToString()
        key = prompt.key
        asked = (prompt.prompt_id, job.job_id, key, prompt.state, prompt.version, content, at)
        written.append(("add_prompt", asked))
    elif prompt is not None:
        response = prompt.resolution.SerializeToString()
        answer = prompt.resolution.answer
        written.append(("change_prompt", (prompt.state, prompt.version, response, at, prompt.prompt_id)))
        said = answer.SerializeToString()
        written.append(("add_answer", (prompt.prompt_id, answer.answer_id, job.job_id, said, at)))
    return written


def _details(prompt: prompt_pb2.Prompt | None) -> str | None:
    """The data of an event: small, as JSON."""
    return None if prompt is None else f'{{"round":{prompt.round},"key":"{prompt.key}"}}'


async def run(listen: str, database: str) -> None:
    """Serve until cancelled, or until a write fails."""
    store: Store = PostgresStore(database) if "://" in database else SQLiteStore(database)
    await store.open()
    relay = DurableRelay(store)
    writing = asyncio.create_task(relay.write())
    serving = asyncio.create_task(serve(listen, relay))
    done, _ = await asyncio.wait((writing, serving), return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def main() -> None:
    """Run the durable floor until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument(
        "--db", required=True, metavar="FILE|URL", help="a file of SQLite, or postgresql://..."
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run(arguments.listen, arguments.db))


if __name__ == "__main__":
    main()
