"""One entry of a token file: its fields, checked, and the principal that it authenticates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from askback_server.domain.principals import Principal, Role

MAX_NAME_CHARS = 200
"""Maximum length of a subject."""
_FIELDS = frozenset({"sha256", "certificate", "subject", "roles", "namespaces", "groups", "expires"})


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """The principal of a token, or of a name in a certificate."""

    key: bytes | str
    """The digest of the token, or the name in the certificate."""
    principal: Principal
    expires: datetime | None

    @property
    def is_token(self) -> bool:
        """Whether the entry is for a token, not for a certificate."""
        return isinstance(self.key, bytes)


def token_entry(fields: object) -> TokenEntry:
    """An entry from its TOML table. Raises ValueError with the problem."""
    if not isinstance(fields, dict):
        raise ValueError("must be a table")
    if unknown := sorted(set(fields) - _FIELDS):
        raise ValueError(f"{unknown[0]} is not a field of a token")
    if ("sha256" in fields) == ("certificate" in fields):
        raise ValueError("must have either sha256, a token's hash, or certificate, a name in one")
    key = _digest(fields["sha256"]) if "sha256" in fields else _certificate(fields["certificate"])
    subject = fields.get("subject")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > MAX_NAME_CHARS:
        raise ValueError(f"subject must be 1 to {MAX_NAME_CHARS} characters")
    roles = _names(fields, "roles")
    for role in roles:
        if role not in set(Role):
            raise ValueError(f"roles has {role!r}; there are: " + ", ".join(Role))
    namespaces = _names(fields, "namespaces")
    if namespaces[0] == "*":  # a request without a namespace means `default`
        namespaces = ("default", *namespaces)
    groups = _names(fields, "groups") if fields.get("groups", []) != [] else ()
    principal = Principal(subject, frozenset(map(Role, roles)), namespaces, frozenset(groups))
    return TokenEntry(key, principal, _expiry(fields.get("expires")))


def _digest(value: object) -> bytes:
    if isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value):
        return bytes.fromhex(value)
    raise ValueError("sha256 must be the 64 hexadecimal digits of the token's hash")


def _certificate(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("certificate must be a name as it stands in the certificate")


def _names(fields: Mapping[str, object], field: str) -> tuple[str, ...]:
    names = fields.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise ValueError(f"{field} must be a list of at least one name")
    return tuple(names)


def _expiry(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"expires is not an ISO time: {value!r}") from None
    if not isinstance(value, datetime):
        raise ValueError("expires must be a time, for example 2027-01-01T00:00:00Z")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
