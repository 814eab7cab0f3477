"""Explains in one line why a file cannot be used: path, owner, mode, and the user of this process."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def file_problem(path: str | os.PathLike[str], error: OSError, *, verb: str = "read") -> str:
    """Return `PATH cannot be read: …` with the reason, and with the owner where a permission is missing.

    The cause may be a parent folder of `path`; then the text names that folder too.
    """
    return f"{os.fspath(path)} cannot be {verb}: {why(path, error)}"


def file_error(path: str | os.PathLike[str], error: OSError) -> OSError:
    """An error of the same class whose text is `file_problem`."""
    explained = type(error)(file_problem(path, error))
    explained.errno = error.errno
    return explained


def ownership(path: str | os.PathLike[str]) -> str:
    """`it belongs to ada (uid 1000), mode 0600, and this process runs as bob (uid 1001)`; empty if the
    file's status cannot be read."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    here = os.geteuid() if hasattr(os, "geteuid") else None
    runs = f", and this process runs as {_user(here)}" if here is not None else ""
    return f"it belongs to {_user(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}{runs}"


def unreadable(path: str | os.PathLike[str]) -> str:
    """Why a file cannot be read, without its path; empty if it can.

    The file is not opened, because opening a pipe would consume its content.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return "there is no such file" if error.errno == errno.ENOENT else why(path, error)
    if stat.S_ISDIR(mode):
        return why(path, OSError(errno.EISDIR, ""))
    return "" if os.access(path, os.R_OK) else why(path, OSError(errno.EACCES, ""))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. Raises OSError with the text of `file_problem`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise file_error(path, error) from None


def why(path: str | os.PathLike[str], error: OSError) -> str:
    """The reason without the path: the system's text, with the missing folder or permission added."""
    found = Path(path).absolute()
    reason = error.strerror or (os.strerror(error.errno) if error.errno else "") or str(error)
    if error.errno == errno.ENOENT and not found.parent.exists():
        return f"{reason}; there is no folder {found.parent}"
    if error.errno == errno.ENOTDIR:
        file = next((p for p in reversed(found.parents) if p.is_file()), None)
        return f"{reason}; {file} is a file" if file else reason
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{reason}{_explain_denial(found)}"
    return reason


def _explain_denial(path: Path) -> str:
    """The file or folder whose permission is missing, and its owner."""
    for folder in reversed(path.parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return f" at the folder {folder}; {ownership(folder)}"
    if path.exists():
        return f"; {ownership(path)}"
    return f" at the folder {path.parent}; {ownership(path.parent)}"


def _user(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"
