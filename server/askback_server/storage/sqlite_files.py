"""Find the file of a SQLite database that cannot be used; SQLite's errors do not name it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import sqlalchemy as sa

from askback._text.files import file_problem
from askback_server.storage.outages import first_line

SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")
"""Suffixes of the database file and its journal files."""


def database_problem(url: str | sa.URL, error: BaseException) -> str:
    """Describe what is wrong with a database after an error.

    For SQLite: the file or folder at fault with its owner and mode, if found. Otherwise the first line of the
    error, after the address of the host if that cannot be reached.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _file_at_fault(Path(parsed.database).absolute()) or first_line(error)
    where = f"{parsed.host}:{parsed.port or 5432}: " if parsed.host and isinstance(error, OSError) else ""
    return where + first_line(error)


def _file_at_fault(database: Path) -> str:
    folder = database.parent
    if not folder.exists():
        return file_problem(database, OSError(errno.ENOENT, ""), verb="opened")
    if not folder.is_dir():
        return file_problem(database, OSError(errno.ENOTDIR, ""), verb="opened")
    if database.is_dir():
        return file_problem(database, OSError(errno.EISDIR, ""), verb="opened")
    beside = [database.with_name(database.name + suffix) for suffix in SUFFIXES]
    for path in (folder, *beside):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            return file_problem(path, OSError(number, ""), verb="written")
    if not os.access(folder, os.X_OK):
        return file_problem(database, OSError(errno.EACCES, ""), verb="opened")
    return ""
