"""Allow one server process per SQLite file, by an advisory lock on a file beside it.

SQLite's own locks are taken per transaction and do not show who serves the file. The operating system
releases an advisory lock when its process ends, killed or not; it works across containers of one machine,
and does not disturb programs that migrate, read or back up the database.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path

import sqlalchemy as sa

from askback._text.files import why
from askback_server.domain.errors import StorageUnavailable

_log = logging.getLogger("askback.server.storage")

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of network file systems without advisory locks."""


class FileLock:
    """The right to serve a file, from `FileLock(path, who)` to `release()` or the end of the process."""

    def __init__(self, path: str, who: str) -> None:
        """Take the lock. Raises StorageUnavailable if another process has it or the file is not writable."""
        self._file = -1
        database = Path(path).absolute()
        beside = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
            self._take(beside, database, who)
        except OSError as error:
            self.release()
            raise StorageUnavailable(
                f"cannot write {beside}: {why(beside, error)}; SQLite needs a folder to write to, and room"
            ) from error
        except BaseException:
            self.release()
            raise

    def _take(self, beside: Path, database: Path, who: str) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 200, 0).decode("utf-8", "replace").strip()
            raise StorageUnavailable(
                f"{database} is served by another process ({holder or 'unknown'}): stop that one, or use "
                "PostgreSQL, which several can serve"
            ) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            _log.warning(
                "the file system of %s has no locks: make sure that only one server uses it", database
            )
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"pid {os.getpid()}, replica {who}\n".encode(), 0)

    def release(self) -> None:
        """Release the lock. The file stays: removing it could remove the lock of the next process."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def serve_alone(url: str, who: str) -> FileLock | None:
    """Lock the file of a SQLite URL. Returns None for a database that several processes may serve.

    Raises StorageUnavailable.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return FileLock(parsed.database, who)
