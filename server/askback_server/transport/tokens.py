"""Authenticates callers: by bearer tokens or client certificates in a file, or by an unverified name."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from askback._text.files import read_file
from askback_server.domain.errors import Unauthenticated
from askback_server.domain.people import Roster
from askback_server.domain.principals import Principal, Role
from askback_server.transport.certificates import CertificateNames, no_certificate
from askback_server.transport.token_entries import MAX_NAME_CHARS, TokenEntry, token_entry

Metadata = Iterable[tuple[str, str | bytes]]
"""The metadata of a call; keys are in lower case."""

_RECHECK_SECONDS = 1.0
_TRUSTED_ROLES = frozenset({Role.CLIENT, Role.WORKER, Role.CONSOLE})

_log = logging.getLogger("askback.server.tokens")


class Authentication(StrEnum):
    """How a caller was authenticated."""

    TOKEN = "TOKEN"  # noqa: S105 - the name of a method
    CERTIFICATE = "CERTIFICATE"
    NONE = "NONE"
    """Not at all: the name that the caller sent is not verified."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a caller was authenticated, and when its credentials expire, None if never."""

    authentication: Authentication
    expires: datetime | None = None


class Authenticator(Protocol):
    """Authenticates the caller of a call."""

    def authenticate(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Principal:
        """The caller. Raises Unauthenticated."""

    def credentials(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Credentials:
        """The credentials of the caller. Raises Unauthenticated."""

    def generation(self) -> object:
        """An object that is replaced whenever `authenticate` may return something else, except for expiry."""


class BadTokenFile(ValueError):
    """The token file cannot be used. The message names the entry and the problem."""


def hash_token(token: str) -> str:
    """The hash that a token file has of a token. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile:
    """Tokens from a TOML file, read again when it changes.

        [[tokens]]
        sha256 = "…"                        # `askback hash-token` prints it
        subject = "ada"
        roles = ["console"]                 # client, worker, console, admin
        namespaces = ["default"]            # the first is the default; "*" stands for all
        groups = ["ops"]                    # optional
        expires = 2027-01-01T00:00:00Z      # optional

    Instead of `sha256` an entry may have `certificate = "NAME"`: it authenticates a caller without a token by
    a name in its client certificate (an alternative name, else the common name), which TLS has verified. If
    a token is sent, the certificate is ignored.

    An unusable file is an error at the start; later the last usable content stays in use.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._now = now
        self._monotonic = monotonic
        self._mark = self._stamp()
        self._entries = _read(self._path)
        self._checked = monotonic()
        self._roster = Roster()
        self._roster_of: object = None
        """The entries that the roster was made of."""
        self._roster_until: datetime | None = None
        """When the next of its entries expires."""

    @property
    def has_certificates(self) -> bool:
        """Whether an entry is authenticated by a certificate."""
        return any(isinstance(key, str) for key in self._entries)

    def authenticate(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Principal:
        """The owner of the bearer token, or of the certificate. Raises Unauthenticated."""
        entry = self._entry(metadata, certificate)
        if entry.expires is not None and entry.expires <= self._now():
            what = "token" if entry.is_token else "certificate's entry"
            raise Unauthenticated(f"the {what} has expired; ask for a new one")
        return entry.principal

    def credentials(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Credentials:
        """Whether the caller's entry is a token or a certificate, and its expiry. Raises Unauthenticated."""
        entry = self._entry(metadata, certificate)
        how = Authentication.TOKEN if entry.is_token else Authentication.CERTIFICATE
        return Credentials(how, entry.expires)

    def generation(self) -> object:
        """The entries: reading the file again replaces them."""
        if self._monotonic() - self._checked >= _RECHECK_SECONDS:
            self._refresh()
        return self._entries

    def roster(self) -> Roster:
        """The people among the entries that have not expired; the same object until they change."""
        entries, now = self.generation(), self._now()
        if entries is not self._roster_of or (self._roster_until is not None and self._roster_until <= now):
            valid = [each for each in self._entries.values() if each.expires is None or each.expires > now]
            self._roster = Roster.of(each.principal for each in valid)
            self._roster_of = entries
            self._roster_until = min((each.expires for each in valid if each.expires), default=None)
        return self._roster

    def _entry(self, metadata: Metadata, certificate: CertificateNames) -> TokenEntry:
        self.generation()
        token = _bearer(metadata)
        if not token:
            return self._entry_of_certificate(certificate)
        digest = hashlib.sha256(token.encode()).digest()
        # Looked up by its hash, so that the time it takes reveals nothing about stored tokens.
        entry = self._entries.get(digest)
        if entry is None:
            raise Unauthenticated("the token is not known here; check it, or ask for a new one")
        return entry

    def _entry_of_certificate(self, certificate: CertificateNames) -> TokenEntry:
        """The entry of the first name of the certificate that has one. Raises Unauthenticated."""
        names = certificate()
        entry = next((self._entries[name] for name in names if name in self._entries), None)
        if entry is None:
            also = f"; no entry has `certificate` = {' or '.join(names)}" if names else ""
            raise Unauthenticated(f"send a token: metadata `authorization: Bearer <token>`{also}")
        return entry

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
            self._entries = _read(self._path)
        except BadTokenFile as error:
            _log.error("the new token file cannot be used, the previous tokens stay in use: %s", error)
        else:
            _log.info("read %d tokens from %s", len(self._entries), self._path)


class NoAuthentication:
    """Trusts the metadata `askback-user` and `askback-groups`. For loopback only.

    The users named in `admins` are admins.
    """

    def __init__(self, admins: frozenset[str] = frozenset()) -> None:
        self._admins = admins

    def credentials(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Credentials:
        """None are needed, and they do not expire."""
        return Credentials(Authentication.NONE)

    def generation(self) -> object:
        """Always the same object."""
        return None

    def roster(self) -> None:
        """There is none: the groups of people are those that their calls name."""

    def authenticate(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Principal:
        """The principal of this name. Raises Unauthenticated for a name that cannot be used."""
        user, groups = "anonymous", ""
        for key, value in metadata:
            if key == "askback-user":
                user = str(value)
            elif key == "askback-groups":
                groups = str(value)
        return _trusted_principal(user, groups, user in self._admins)


@lru_cache(maxsize=1024)
def _trusted_principal(user: str, groups: str, admin: bool) -> Principal:
    user = user.strip()
    if not user or len(user) > MAX_NAME_CHARS or not user.isprintable():
        raise Unauthenticated(f"askback-user must be 1 to {MAX_NAME_CHARS} printable characters")
    names = frozenset(name.strip() for name in groups.split(",") if name.strip())
    roles = _TRUSTED_ROLES | {Role.ADMIN} if admin else _TRUSTED_ROLES
    return Principal(user, roles, ("default", "*"), names)


def _bearer(metadata: Metadata) -> str:
    """The bearer token; empty without `authorization` metadata. Raises Unauthenticated for another scheme."""
    for key, value in metadata:
        if key == "authorization":
            scheme, _, token = value.partition(" ") if isinstance(value, str) else ("", "", "")
            if scheme.lower() == "bearer" and token.strip():
                return token.strip()
            # A failed token must not fall back to the certificate.
            raise Unauthenticated("send the token as metadata `authorization: Bearer <token>`")
    return ""


def _read(path: Path) -> dict[bytes | str, TokenEntry]:
    try:
        content = tomllib.loads(read_file(path).decode())
    except OSError as error:
        raise BadTokenFile(f"token file {error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadTokenFile(f"token file {path}: {error}") from error
    listed = content.get("tokens", [])
    if other := sorted(set(content) - {"tokens"}):
        raise BadTokenFile(f"token file {path}: must hold [[tokens]] and nothing else, not {other[0]}")
    if not isinstance(listed, list):
        raise BadTokenFile(f"token file {path}: must hold [[tokens]]: begin each entry with that")
    if not listed:
        raise BadTokenFile(f"token file {path} has no entries: make one with `askback token add`")
    entries: dict[bytes | str, TokenEntry] = {}
    for number, fields in enumerate(listed, 1):
        subject = fields.get("subject") if isinstance(fields, dict) else None
        where = f"token file {path}, entry {number}" + (f" ({subject})" if subject else "")
        try:
            entry = token_entry(fields)
            if entry.key in entries:
                field = "sha256" if entry.is_token else "certificate"
                raise ValueError(f"{field} is that of an earlier entry")
        except ValueError as error:
            raise BadTokenFile(f"{where}: {error}") from None
        entries[entry.key] = entry
    return entries
