"""Adds and removes entries of a token file without changing its other lines.

The file is edited as lines, not written from its values, so that comments and unknown fields stay. (Libraries
that preserve comments attach a comment above an entry to the entry before, and would remove both.) The new
text is parsed and compared with the intended values before it replaces the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from askback._text.files import file_problem, read_file
from askback_server.transport.token_entries import token_entry
from askback_server.transport.tokens import BadTokenFile, TokenFile, hash_token

_HEADER = re.compile(r"\s*\[\[\s*tokens\s*\]\]\s*(#.*)?")
_DIGITS = 12
"""Hexadecimal digits of a hash that are shown to people."""


class NoSuchEntry(LookupError):
    """No entry has this subject, hash or certificate."""


class SeveralEntries(LookupError):
    """Several entries have this subject; the message lists them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the file. Its properties ignore fields of a wrong type."""

    fields: Mapping[str, object]

    @property
    def name(self) -> str:
        """The first digits of its hash, or the name of its certificate."""
        return str(self.fields.get("sha256", "")).lower()[:_DIGITS] or str(self.fields.get("certificate", ""))

    @property
    def subject(self) -> str:
        """The subject of the principal."""
        return str(self.fields.get("subject", ""))

    def names(self, field: str) -> list[str]:
        """The names in a field; empty if it is not a list."""
        found = self.fields.get(field)
        return [str(name) for name in found] if isinstance(found, list) else []

    @property
    def expires(self) -> datetime | None:
        """The expiry as an aware time, None if there is none."""
        found = self.fields.get("expires")
        if isinstance(found, str):
            with suppress(ValueError):
                found = datetime.fromisoformat(found)
        if not isinstance(found, datetime):
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def is_named(self, name: str) -> bool:
        """Whether `name` is its subject, its certificate, or at least the first 6 digits of its hash."""
        digest = str(self.fields.get("sha256", "")).lower()
        by_hash = len(name) >= 6 and digest.startswith(name.lower())
        return name in (self.subject, self.fields.get("certificate")) or by_hash


def read_entries(path: str) -> list[Entry]:
    """The entries of a token file in order. Raises BadTokenFile if it is not TOML."""
    return [Entry(fields) for fields in _tokens(_text(Path(path)), path)]


def add_token(
    path: str,
    subject: str,
    *,
    roles: Sequence[str],
    namespaces: Sequence[str],
    groups: Sequence[str] = (),
    expires: datetime | None = None,
) -> str:
    """Append an entry with a new random token and return the token; the file has only its hash.

    Creates the file, readable by its owner only, if it does not exist. Raises BadTokenFile, and ValueError
    for an entry that a server would reject.
    """
    token = secrets.token_urlsafe(32)
    fields: dict[str, object] = {"sha256": hash_token(token), "subject": subject}
    fields |= {"roles": list(roles), "namespaces": list(namespaces)}
    if groups:
        fields["groups"] = list(groups)
    if expires is not None:
        fields["expires"] = expires.astimezone(UTC).replace(microsecond=0)
    token_entry(fields)
    file = Path(path).resolve()
    with _lock(file.parent):
        text = _text(file) if file.exists() else ""
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        wanted = {**_document(text, path), "tokens": [*_tokens(text, path), fields]}
        _replace(file, f"{text}{gap}{_block(fields)}", wanted, path)
    return token


def revoke_token(path: str, name: str, *, every: bool = False) -> list[Entry]:
    """Remove and return the entry with this name (see `Entry.is_named`) and the comment directly above it.

    `every` removes all entries with the name. Raises NoSuchEntry, SeveralEntries, and BadTokenFile, also if
    no entry would be left: a running server would keep the last file that it could use.
    """
    file = Path(path).resolve()
    with _lock(file.parent):
        text = _text(file)
        entries = [Entry(fields) for fields in _tokens(text, path)]
        found = [number for number, entry in enumerate(entries) if entry.is_named(name)]
        if not found:
            raise NoSuchEntry(f"no entry of {path} has the subject or the hash {name}")
        if len(found) > 1 and not every:
            names = ", ".join(entries[number].name for number in found)
            raise SeveralEntries(f"{name} has {len(found)} tokens: {names}; name one of these, or give --all")
        if len(found) == len(entries):
            raise BadTokenFile(
                f"token file {path}: without {name} no entry would be left, and a running server would keep "
                "the old ones; add another first"
            )
        sections = _sections(text)
        if len(sections) != len(entries) + 1:
            raise _by_hand(path)
        remaining = [
            section if number - 1 not in found else _comments_after(section)
            for number, section in enumerate(sections)
        ]
        left = [entry.fields for number, entry in enumerate(entries) if number not in found]
        _replace(file, "".join(remaining), {**_document(text, path), "tokens": left}, path)
    return [entries[number] for number in found]


def problem(path: str) -> str:
    """Why a server would reject the file; empty if it would not."""
    try:
        TokenFile(path)
    except BadTokenFile as error:
        return str(error)
    return ""


def _text(path: Path) -> str:
    try:
        return read_file(path).decode()
    except OSError as error:
        raise BadTokenFile(f"token file {error}") from None
    except UnicodeDecodeError as error:
        raise BadTokenFile(f"token file {path}: {error}") from None


def _document(text: str, path: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTokenFile(f"token file {path}: {error}") from None


def _tokens(text: str, path: str) -> list[dict[str, object]]:
    listed = _document(text, path).get("tokens", [])
    if not isinstance(listed, list) or not all(isinstance(fields, dict) for fields in listed):
        raise _by_hand(path)
    return listed


def _sections(text: str) -> list[str]:
    """The text before the first entry, then each entry with the comment lines directly above it.

    A comment at the start of the file belongs to the file, not to its first entry.
    """
    lines = text.splitlines(keepends=True)
    begins = []
    for number, line in enumerate(lines):
        if _HEADER.fullmatch(line.rstrip("\r\n")):
            begin = number
            while begin and _is_comment(lines[begin - 1]):
                begin -= 1
            begins.append(begin or number)
    return ["".join(lines[a:b]) for a, b in pairwise([0, *begins, len(lines)])]


def _comments_after(section: str) -> str:
    """The comments after an entry, which stay when it is removed."""
    lines = section.splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.strip() and not _is_comment(line))
    rest = lines[last + 1 :]
    return "".join(rest) if any(map(_is_comment, rest)) else ""


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _block(fields: Mapping[str, object]) -> str:
    lines = ["[[tokens]]"]
    for name, value in fields.items():
        spelt = f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else _toml(value)
        lines.append(f"{name} = {spelt}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # JSON strings, and lists of them, are valid TOML.
    return json.dumps(value, ensure_ascii=False)


def _replace(file: Path, text: str, wanted: Mapping[str, object], path: str) -> None:
    """Replace the file atomically and keep its mode and owner.

    Raises BadTokenFile unless the text has the values `wanted`.
    """
    try:
        edited = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise _by_hand(path) from None  # it was TOML before: `tokens = [{…}]`, or a text of several lines
    if edited != wanted:
        raise _by_hand(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as new:
                new.write(text)
                with suppress(FileNotFoundError):
                    old = os.stat(file)
                    os.fchmod(new.fileno(), old.st_mode & 0o7777)
                    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(new.fileno(), old.st_uid, old.st_gid)
                new.flush()
                os.fsync(new.fileno())
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise BadTokenFile(f"token file {file_problem(path, error, verb='written')}") from None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder, so that concurrent edits run one after the other."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise BadTokenFile(f"token file: {file_problem(folder, error)}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _by_hand(path: str) -> BadTokenFile:
    return BadTokenFile(
        f"token file {path}: its entries are no [[tokens]] blocks one after the other; edit it by hand"
    )
