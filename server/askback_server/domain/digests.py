"""Digests by which a repeated request is recognised."""

from __future__ import annotations

import hashlib

from pydantic_core import to_json

_EMPTY = hashlib.sha256()


def digest_of(values: object) -> str:
    """Half of the SHA-256 of JSON values, in hex. Mappings must have sorted keys: their order counts.

    Digests are stored, so their text must never change.
    """
    digest = _EMPTY.copy()  # a new one takes twice the time: OpenSSL finds the algorithm by its name
    digest.update(to_json(values))
    return digest.hexdigest()[:32]
