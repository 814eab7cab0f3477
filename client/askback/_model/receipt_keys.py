"""Verifies the signature of a receipt, with no server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from askback._model.receipts import InvalidReceipt, Receipt
from askback._model.shown_form import NEEDS_EXTRA

ALGORITHM = "Ed25519"
HEADER_TYPE = "askback-receipt"


def read_key_set(keys: str | Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys of a JSON Web Key Set. Raises InvalidReceipt."""
    try:
        listed = (json.loads(keys) if isinstance(keys, str) else keys)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InvalidReceipt("the keys are not a JSON Web Key Set")
    return listed


def verify_receipt(statement: str, keys: str | Mapping[str, Any], *, thumbprint: str = "") -> Receipt:
    """The receipt in a text, after its signature was verified.

    `keys` is a JSON Web Key Set (RFC 7517), as text or parsed: the public keys that you trust. With a
    `thumbprint` (RFC 7638) only the key with this thumbprint counts, and the set may come from anywhere.
    Raises InvalidReceipt, and ImportError without the extra `receipts`.
    """
    try:
        from joserfc import jws
        from joserfc.errors import JoseError
        from joserfc.jwk import OKPKey
    except ModuleNotFoundError:
        raise ImportError(NEEDS_EXTRA) from None
    receipt = Receipt.read(statement)
    listed = read_key_set(keys)
    try:
        known = [OKPKey.import_key(each) for each in listed if each.get("crv") == ALGORITHM]
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidReceipt(f"a key is damaged ({type(error).__name__})") from None
    for key in known:
        key.ensure_kid()
    found = [key for key in known if key.kid == receipt.kid]
    if thumbprint:
        found = [key for key in found if key.thumbprint() == thumbprint]
    if not found:
        wanted = f" with the thumbprint {thumbprint}" if thumbprint else ""
        raise InvalidReceipt(f"it is signed with the key {receipt.kid!r}, and the keys have no such{wanted}")
    for key in found:
        try:
            signed = jws.deserialize_compact(receipt.statement, key, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            continue
        if signed.headers().get("typ") != HEADER_TYPE:
            raise InvalidReceipt("the same key has signed it as something else than a receipt")
        return receipt
    raise InvalidReceipt("its signature is wrong: it was changed, or signed with another key")
