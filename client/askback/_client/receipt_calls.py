"""The methods of the client about receipts."""

from __future__ import annotations

from askback._model.receipts import Receipt
from askback._wire.calls import Calls
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import policy_service_pb2 as policy


class ReceiptCalls:
    """Receipts of closed prompts, and the keys that verify them."""

    _calls: Calls

    async def receipt(self, prompt_id: str = "", *, job_id: str = "", key: str = "") -> Receipt:
        """The receipt of a closed prompt, by its id, or by job and key.

        Keep it, with the keys elsewhere: `verify_receipt` verifies it without the service. Raises NotFound,
        ReceiptUnavailable (`because` says why), AuditFailed, and Unimplemented (an older server).
        """
        request = hitl.GetReceiptRequest(prompt_id=prompt_id, job_id=job_id, key=key)
        return Receipt.read((await self._calls.unary(self._calls.hitl.GetReceipt, request)).receipt)

    async def receipt_keys(self) -> str:
        """The public keys of receipts as a JSON Web Key Set, as text. The first key signs now.

        Without keys of the server it is an empty set. Raises Unimplemented (an older server).
        """
        call = self._calls.policy.ListReceiptKeys
        return (await self._calls.unary(call, policy.ListReceiptKeysRequest())).jwks_json
