"""Signs receipts."""

from __future__ import annotations

from typing import Protocol


class ReceiptSigner(Protocol):
    """Signs with the operator's keys. Each call reads them, so that a new key is used without a restart."""

    def sign(self, payload: str) -> str:
        """The receipt of a payload: a JWS in compact form. Raises BadSigningKeys."""

    def public_keys(self) -> str:
        """The public keys as a JSON Web Key Set, the one that signs first. Raises BadSigningKeys."""
