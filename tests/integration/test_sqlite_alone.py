"""One server process serves a SQLite file. A second one is refused until the first has stopped."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from askback_server.config.settings import Config
from askback_server.domain.errors import StorageUnavailable
from askback_server.lifecycle import Service
from askback_server.storage import file_lock
from askback_server.storage.file_lock import FileLock, serve_alone
from askback_server.storage.migrate import describe, upgrade
from askback_server.transport.tokens import BadTokenFile
from tests.support.service import ServiceWorld, serving


def file_of(url: str) -> Path:
    return Path(url.partition(":///")[2])


async def test_a_second_server_is_refused_with_the_name_of_the_first(lite_url: str, tmp_path: Path) -> None:
    async with serving(lite_url) as world:
        with pytest.raises(StorageUnavailable) as refused:
            await Service(Config(listen="127.0.0.1:0", db=lite_url)).start()
        text = str(refused.value)
        assert f"{file_of(lite_url)} is served by another process (pid {os.getpid()}, replica r1)" in text
        assert "PostgreSQL" in text
        await world.create()
    # The lock is released at the end, and by a start that fails early or late.
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("[[tokens]]\n")
    for wrong in ({"auth": str(tokens)}, {"metrics_listen": "203.0.113.1:1"}):
        with pytest.raises((BadTokenFile, OSError, RuntimeError)):
            await Service(Config(listen="127.0.0.1:0", db=lite_url, **wrong)).start()
    async with serving(lite_url) as world:
        await world.create()


async def test_a_relative_path_is_locked_as_the_same_file(
    lite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(lite_url)
    claim = serve_alone(lite_url, "one")
    assert claim is not None
    monkeypatch.chdir(path.parent)
    with pytest.raises(StorageUnavailable, match="replica one"):
        serve_alone(f"sqlite+aiosqlite:///{path.name}", "two")
    claim.release()
    claim.release()
    second = serve_alone(f"sqlite+aiosqlite:///{path.name}", "two")
    assert second is not None
    second.release()


def test_a_postgres_url_needs_no_file_lock() -> None:
    assert serve_alone("postgresql+asyncpg://a@b/c", "r") is None


async def test_reading_migrating_and_backing_up_need_no_lock(
    lite: ServiceWorld, lite_url: str, tmp_path: Path
) -> None:
    await lite.create()
    upgrade(lite_url)
    assert describe(lite_url).startswith("sqlite")
    with (
        closing(sqlite3.connect(file_of(lite_url))) as source,
        closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        source.backup(copy)
        assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    async with serving(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}") as other:
        await other.create()


async def test_a_file_system_without_locks_logs_a_warning(
    lite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(*_: object) -> None:
        raise OSError(file_lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock.fcntl, "flock", flock)
    claim = FileLock(str(file_of(lite_url)), "r")
    assert "make sure that only one server uses it" in caplog.text
    claim.release()
