"""Makes the receipts of prompts, and lists the keys that verify them."""

from __future__ import annotations

import asyncio
import logging

from askback_server.domain.checkpoints import BadSigningKeys
from askback_server.domain.commands import PromptRef
from askback_server.domain.principals import Principal
from askback_server.domain.receipts import AuditFailed, Because, ReceiptUnavailable, receipt_payload
from askback_server.domain.stored_jobs import StoredJob
from askback_server.engine.queries import Queries
from askback_server.ports.audit import AuditStore
from askback_server.ports.signing import ReceiptSigner

_log = logging.getLogger("askback.server.engine")

AT_ONCE = 2
"""Receipts that are made at the same time: a job with many events takes long to read and verify."""


class Receipts:
    """Receipts of closed prompts. Each is made when it is asked for, and none is stored."""

    def __init__(self, store: AuditStore, queries: Queries, signer: ReceiptSigner | None) -> None:
        """`signer` is None where the server has no keys."""
        self._store = store
        self._queries = queries
        self._signer = signer
        self._making = asyncio.Semaphore(AT_ONCE)

    async def receipt(self, ref: PromptRef, principal: Principal) -> str:
        """The receipt of a prompt that the principal may read: a JWS in compact form.

        Raises PromptNotFound, ReceiptUnavailable, AuditFailed, StorageUnavailable.
        """
        prompt = await self._queries.prompt(ref, principal)
        if prompt.is_open:
            raise ReceiptUnavailable(prompt.prompt_id, Because.OPEN)
        if self._signer is None:
            raise ReceiptUnavailable(prompt.prompt_id, Because.NO_KEY)
        async with self._making:
            stored = await self._store.stored_job(prompt.job_id)
            return await asyncio.to_thread(_make, self._signer, stored, prompt.prompt_id)

    def public_keys(self) -> str:
        """The public keys as a JSON Web Key Set, the one that signs now first."""
        if self._signer is None:
            return NO_KEYS
        try:
            return self._signer.public_keys()
        except BadSigningKeys as error:
            _log.error("the public keys of receipts cannot be read: %s", error)
            return NO_KEYS


NO_KEYS = '{"keys":[]}'


def _make(signer: ReceiptSigner, stored: StoredJob, prompt_id: str) -> str:
    try:
        payload = receipt_payload(stored, prompt_id)
    except AuditFailed as error:
        _log.error("job %s: %s", stored.job_id, error)
        raise
    try:
        return signer.sign(payload)
    except BadSigningKeys as error:
        _log.error("no receipt was made, because it cannot be signed: %s", error)
        raise ReceiptUnavailable(prompt_id, Because.NO_KEY) from None
