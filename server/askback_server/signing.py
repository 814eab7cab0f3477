"""The keys that sign statements of the audit: Ed25519, in a file, the newest first.

The file is a JSON Web Key Set with private keys (RFC 7517, RFC 8037). The first key signs; the others verify
what was signed before. Statements are JWS in compact form (RFC 7515) with the algorithm Ed25519 (RFC 9864).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from askback_server.domain.checkpoints import BadSigningKeys

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
RECEIPT_TYPE = "askback-receipt"
"""The type in the header of a receipt."""
Keys: TypeAlias = "list[OKPKey]"
"""Keys, the one that signs first."""


def signer(path: str) -> Callable[[str], str]:
    """A function that makes the statement of a checkpoint's payload, with the first key of a file.

    The file is read for each statement, so a new key is used without a restart. Without a path the statement
    is the payload. Raises BadSigningKeys.
    """
    if not path:
        return str
    sign = partial(_sign, path, {})
    sign("{}")  # an unusable key is an error at the start
    return sign


class FileSigner:
    """Signs receipts with the first key of a file: the ReceiptSigner port.

    Their header has a type, so that no other statement of the same key can be taken for a receipt (RFC 8725).
    """

    def __init__(self, path: str) -> None:
        """Raises BadSigningKeys if the key is not usable."""
        self._path = path
        self.sign("{}")

    def sign(self, payload: str) -> str:
        """The receipt of a payload. Raises BadSigningKeys."""
        return _sign(self._path, {"typ": RECEIPT_TYPE}, payload)

    def public_keys(self) -> str:
        """The public keys of the file, as a JSON Web Key Set. Raises BadSigningKeys."""
        return public_set(self._path)


def _sign(path: str, header: Mapping[str, str], payload: str) -> str:
    key = read_keys(path)[0]
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    named = {"alg": ALGORITHM, "kid": key.kid, **header}
    problem = "its first key cannot sign: it must be private, and for signatures"
    try:
        statement = jws.serialize_compact(named, payload, key, algorithms=[ALGORITHM])
        problem = "what its first key has signed does not verify; is its public part that of its private one?"
        jws.deserialize_compact(
            statement, OKPKey.import_key(key.as_dict(private=False)), algorithms=[ALGORITHM]
        )
    except (JoseError, ValueError, TypeError) as error:
        raise BadSigningKeys(f"signing keys {path}: {problem} ({error})") from error
    return statement


def open_statement(statement: str, keys: Keys) -> tuple[str, str]:
    """The payload of a statement, and the id of the key that signed it; empty if it is not signed.

    Raises ValueError for an unknown key and a wrong signature.
    """
    if statement.startswith("{"):
        return statement, ""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        kid = str(jws.extract_compact(statement.encode()).headers().get("kid", ""))
        key = next((each for each in keys if each.kid == kid), None)
        if key is None:
            raise ValueError(f"signed with the key {kid or 'without an id'}, which is not in the file")
        found = jws.deserialize_compact(statement, key, algorithms=[ALGORITHM])
    except JoseError as error:
        raise ValueError(f"its signature is wrong ({error})") from error
    return found.payload.decode(), kid


def read_keys(path: str) -> Keys:
    """The keys of a file, the one that signs first. Raises BadSigningKeys."""
    try:
        from joserfc.errors import JoseError
        from joserfc.jwk import OKPKey
    except ModuleNotFoundError:
        raise BadSigningKeys("signing needs joserfc: pip install 'askback[server]'") from None
    try:
        listed = json.loads(Path(path).read_text("utf-8"))["keys"]
        keys = [OKPKey.import_key(each) for each in listed]
    except OSError as error:
        raise BadSigningKeys(f"signing keys {path}: {error.strerror or error}") from None
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise BadSigningKeys(
            f"signing keys {path}: not a JSON Web Key Set ({type(error).__name__})"
        ) from None
    if not keys or any(key.curve_name != "Ed25519" for key in keys):
        raise BadSigningKeys(
            f"signing keys {path}: must have Ed25519 keys; `askback audit new-key` makes one"
        )
    for key in keys:
        key.ensure_kid()
    return keys


def public_set(path: str) -> str:
    """The public keys of a file, as a JSON Web Key Set. Raises BadSigningKeys."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in read_keys(path)]}, indent=2)


def add_key(path: str) -> str:
    """Put a new key first in a file, which is made, for its owner alone, if it is not there.

    Returns the key's id. Raises BadSigningKeys.
    """
    known = read_keys(path) if os.path.exists(path) else []
    from joserfc.jwk import OKPKey

    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    text = json.dumps({"keys": [each.as_dict(private=True) for each in (key, *known)]}, indent=2)
    real = os.path.realpath(path)
    fresh = f"{real}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if known:
                before = os.stat(real)
                os.fchmod(file.fileno(), before.st_mode & 0o777)
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, real)
    except OSError as error:
        with suppress(OSError):
            os.unlink(fresh)
        raise BadSigningKeys(f"signing keys {path}: {error.strerror or error}") from None
    return str(key.kid)
