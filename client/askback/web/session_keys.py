"""The keys that seal session cookies: from a file that is read again when it changes, or made at start."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from joserfc.jwk import OctKey

from askback._text.files import read_file

KEY_BYTES = 32
"""Length of a key of AES-256."""
_RECHECK_SECONDS = 1.0

_log = logging.getLogger("askback.web.sessions")


class BadKeyFile(ValueError):
    """The file of session keys cannot be used. The message says what is wrong, and shows no key."""


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One key, and its name in the header of a cookie."""

    kid: str
    """The start of the key's hash: equal on every gateway, and of no use to find the key."""
    jwk: OctKey

    @classmethod
    def of(cls, raw: bytes) -> SessionKey:
        """The key with these 32 bytes."""
        return cls(hashlib.sha256(b"askback session key " + raw).hexdigest()[:12], OctKey.import_key(raw))


class SessionKeys(Protocol):
    """The keys of a gateway."""

    def current(self) -> tuple[SessionKey, ...]:
        """The keys, the one that seals first. The others only open cookies that were sealed before."""


class GeneratedKey:
    """A key that exists as long as this process: its sessions end with it. For one gateway on loopback."""

    def __init__(self) -> None:
        self._keys = (SessionKey.of(secrets.token_bytes(KEY_BYTES)),)

    def current(self) -> tuple[SessionKey, ...]:
        """The one key."""
        return self._keys


class KeyFile:
    """Keys from a file: one per line, 32 random bytes in base64, the newest first. `#` starts a comment.

    To rotate: put a new key below the newest one on each gateway, so that all can open its cookies; then move
    it to the top; delete the old one after the lifetime of a cookie. An unusable file is an error at the
    start; later the last usable content stays in use.
    """

    def __init__(self, path: str | Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises BadKeyFile."""
        self._path = Path(path)
        self._monotonic = monotonic
        self._mark = self._stamp()
        self._keys = _read(self._path)
        self._checked = monotonic()

    def current(self) -> tuple[SessionKey, ...]:
        """The keys of the file, which is checked at most once a second."""
        if self._monotonic() - self._checked >= _RECHECK_SECONDS:
            self._refresh()
        return self._keys

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _refresh(self) -> None:
        self._checked = self._monotonic()
        mark = self._stamp()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = _read(self._path)
        except BadKeyFile as error:
            _log.error("the new session keys cannot be used, the previous ones stay in use: %s", error)
        else:
            _log.info("read %d session keys from %s", len(self._keys), self._path)


def _read(path: Path) -> tuple[SessionKey, ...]:
    """The keys of a file. Raises BadKeyFile."""
    try:
        lines = read_file(path).decode().splitlines()
    except OSError as error:
        raise BadKeyFile(f"session keys: {error}") from None
    except UnicodeDecodeError:
        raise BadKeyFile(f"session keys {path}: is not a text file") from None
    keys: dict[str, SessionKey] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        except ValueError:
            raw = b""
        if len(raw) != KEY_BYTES:
            what = f"line {number} is not 32 random bytes in base64; make one with `openssl rand -base64 32`"
            raise BadKeyFile(f"session keys {path}: {what}")
        key = SessionKey.of(raw)
        keys[key.kid] = key
    if not keys:
        raise BadKeyFile(f"session keys {path}: has no key; make one with `openssl rand -base64 32`")
    return tuple(keys.values())
