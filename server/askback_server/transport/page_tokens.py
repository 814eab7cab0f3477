"""Page tokens: the cursor of the next page, sealed against changes.

A token holds the cursor in readable form and a keyed digest over the cursor and its query. Every replica
rejects a token that is forged, changed, or from another query.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from typing import Any

from askback_server.domain.errors import BadPageToken

_SEAL_BYTES = 16
_PURPOSE = b"askback page token\0"
_MAX_TOKEN_CHARS = 4096


# A cursor is Any: only the caller of both functions knows the types of its values.
def seal(secret: bytes, query_digest: str, cursor: list[Any]) -> str:
    """The token of a page. A cursor is a list of JSON values."""
    body = json.dumps(cursor, ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_seal(secret, query_digest, body) + body).rstrip(b"=").decode()


def unseal(secret: bytes, query_digest: str, token: str) -> list[Any]:
    """The cursor of a token that `seal` returned for the same query. Raises BadPageToken."""
    if len(token) > _MAX_TOKEN_CHARS:
        raise _bad_token()
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise _bad_token() from None
    mark, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    if not hmac.compare_digest(mark, _seal(secret, query_digest, body)):
        raise _bad_token()
    cursor: list[Any] = json.loads(body)
    return cursor


def digest_query(*parts: object) -> str:
    """A digest of a query: its method and filter. The order of sets and maps does not matter."""
    return hashlib.sha256(repr([_canonical(part) for part in parts]).encode()).hexdigest()[:32]


def _seal(secret: bytes, query_digest: str, body: bytes) -> bytes:
    content = _PURPOSE + query_digest.encode() + b"\0" + body
    return hmac.digest(secret, content, "sha256")[:_SEAL_BYTES]


def _bad_token() -> BadPageToken:
    return BadPageToken("the page token is not from this query; start again without one")


def _canonical(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)  # also for members of string enums
    if isinstance(value, date | timedelta):
        return [type(value).__name__, str(value)]
    if is_dataclass(value):
        return [(f.name, _canonical(getattr(value, f.name))) for f in fields(value)]
    if isinstance(value, Mapping):
        return ["map", sorted((repr(_canonical(k)), _canonical(v)) for k, v in value.items())]
    if isinstance(value, AbstractSet):
        return ["set", sorted(repr(_canonical(v)) for v in value)]
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    raise TypeError(f"a query cannot hold a {type(value).__name__}")
