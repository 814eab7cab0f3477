"""SQLite: where a transaction runs, and checkpoints of the write-ahead log."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from askback_server.storage import sqlite, sqlite_writer
from askback_server.storage.sqlite import SQLite
from askback_server.storage.sqlite_batch import write_rows
from askback_server.storage.sqlite_writer import QUICK_SECONDS, Writer
from tests.support.storage import Node
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which batches were written."""
    found: list[threading.Thread] = []

    def note(*args: Any) -> Any:
        found.append(threading.current_thread())
        return write_rows(*args)

    monkeypatch.setattr(sqlite, "write_rows", note)
    return found


def writer_of(here: Node) -> Writer:
    """The writer, as if its writes had been quick until now."""
    assert isinstance(here.database._dialect, SQLite)
    writer = here.database._dialect._writer
    writer._seconds = 0.0
    return writer


async def test_a_lone_write_runs_in_the_event_loop(here: Node, threads: list[threading.Thread]) -> None:
    writer_of(here)
    await here.create()
    assert threads == [threading.main_thread()]


async def test_a_write_runs_in_the_thread_while_writes_are_slow(
    here: Node, threads: list[threading.Thread]
) -> None:
    """It measures them there too, and comes back to the event loop once they are quick again."""
    writer = writer_of(here)
    writer._seconds = 1.1 * QUICK_SECONDS
    await here.create()
    assert threads.pop() is not threading.main_thread()
    assert writer._seconds != 1.1 * QUICK_SECONDS


async def test_a_large_batch_runs_in_the_thread(here: Node, threads: list[threading.Thread]) -> None:
    writer_of(here)
    await asyncio.gather(here.create(), here.create())
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_a_write_waits_for_its_turn_behind_the_thread(
    here: Node, threads: list[threading.Thread]
) -> None:
    writer, begun, gate = writer_of(here), threading.Event(), threading.Event()
    busy = asyncio.ensure_future(writer.call(lambda: (begun.set(), gate.wait())))
    await until(begun.is_set)
    created = asyncio.ensure_future(here.create())
    await until(lambda: writer._thread._work_queue.qsize() == 1)
    gate.set()
    await busy
    await created
    assert threads[0] is not threading.main_thread()


async def test_the_event_loop_does_not_wait_for_another_process(
    here: Node, threads: list[threading.Thread]
) -> None:
    """One that holds the file, such as a migration."""
    writer = writer_of(here)
    assert writer._raw is not None
    writer._patience = 20000
    writer._raw.execute("PRAGMA busy_timeout=20000")
    statements: list[str] = []
    writer._raw.set_trace_callback(statements.append)
    other = sqlite3.connect(here.database._dialect.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    created = asyncio.ensure_future(here.create())
    await until(lambda: not writer._last.done(), "the write is in the thread")
    other.execute("ROLLBACK")
    other.close()
    await created
    assert [t is threading.main_thread() for t in threads] == [False]
    assert statements.index("PRAGMA busy_timeout=0") < statements.index("BEGIN IMMEDIATE")
    assert writer._raw.execute("PRAGMA busy_timeout").fetchone() == (20000,)


async def test_checkpoints_move_the_log_into_the_file(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_ROWS", 1)
    file = Path(here.database._dialect.url.database)
    before = file.stat().st_size
    await here.create(input_json=f'"{"x" * 100_000}"')
    await here.create()
    await until(lambda: file.stat().st_size > before + 50_000)


async def test_a_checkpoint_that_fails_fails_no_write(
    here: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_ROWS", 1)
    writer = writer_of(here)
    assert writer._beside is not None
    writer._beside.close()
    await here.create()
    await until(lambda: "a checkpoint of the write-ahead log failed" in caplog.text)
    await here.create()
