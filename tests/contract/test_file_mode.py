"""The SQLite file contains all questions and answers, so only its owner may read it."""

import os
from pathlib import Path

import pytest

from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.support.rows import creation, new_job


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o640])
async def test_only_the_owner_can_read_the_database_file_and_its_side_files(
    before: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "askback.db"
    if before is not None:
        path.touch()
        path.chmod(before)
        for suffix in ("-wal", "-shm", ".lock"):  # left by a process that was killed
            beside = tmp_path / f"askback.db{suffix}"
            beside.touch()
            beside.chmod(before)
    old = os.umask(0)
    try:
        upgrade(f"sqlite+aiosqlite:///{path}")
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        await database.jobs.write([creation(new_job())])
        files = [p for p in tmp_path.iterdir() if p.name.startswith("askback.db")]
        assert len(files) > 1, "the write-ahead log is beside it"
        assert {p.name: mode(p) for p in files} == {p.name: 0o600 for p in files}
        await database.close()
    finally:
        os.umask(old)
