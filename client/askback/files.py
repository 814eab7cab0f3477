"""Why a file cannot be used, in one line: its path, owner and mode, and who this process is."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def file_problem(path: str | os.PathLike[str], error: OSError, *, verb: str = "read") -> str:
    """`PATH cannot be read: …`: the reason, and for a missing permission whose file it is.

    The file or folder at fault may be one above `path`; then it is named too.
    """
    shown = Path(path)
    return f"{shown} cannot be {verb}: {_reason(shown, error)}"


def file_error(path: str | os.PathLike[str], error: OSError) -> OSError:
    """An error of the same class whose text is `file_problem`."""
    told = type(error)(file_problem(path, error))
    told.errno = error.errno
    return told


def ownership(path: str | os.PathLike[str]) -> str:
    """`it belongs to ada (uid 1000), mode 0600, and this process runs as bob (uid 1001)`; empty if even
    that cannot be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    here = os.geteuid() if hasattr(os, "geteuid") else None
    runs = f", and this process runs as {_user(here)}" if here is not None else ""
    return f"it belongs to {_user(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}{runs}"


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. Raises OSError with the text of `file_problem`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise file_error(path, error) from None


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        parent = next((p for p in path.absolute().parents if p.exists()), None)
        if parent is not None and parent != path.absolute().parent:
            return f"there is no folder {path.parent}"
        return "there is no such file"
    if error.errno == errno.ENOTDIR:
        file = next((p for p in reversed(path.absolute().parents) if p.is_file()), None)
        return f"{file} is a file, not a folder" if file else "a part of the path is not a folder"
    if error.errno == errno.EISDIR:
        return "it is a folder"
    if error.errno == errno.EROFS:
        return "the file system is read-only"
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    if error.errno in (errno.EACCES, errno.EPERM):
        return _denied(path.absolute())
    return (error.strerror or str(error) or type(error).__name__).lower()


def _denied(path: Path) -> str:
    for folder in reversed(path.parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return f"permission denied at the folder {folder}; {ownership(folder)}"
    if path.exists():
        return f"permission denied; {ownership(path)}"
    return f"permission denied at the folder {path.parent}; {ownership(path.parent)}"


def _user(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"
