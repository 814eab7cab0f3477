"""PolicyService: says when people are away, and who stands in for them."""

from __future__ import annotations

from askback.v1 import policy_service_pb2 as pb
from askback_server.domain.errors import InvalidField
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import Context, current_principal
from askback_server.transport.convert.routing import absence_message, absence_page, absence_setting
from askback_server.transport.convert.values import namespace, page_size
from askback_server.transport.page_tokens import digest_query, seal, unseal


class PolicyServicer:
    """Serves people and admins. The contract documents the methods."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._absences = replica.absences

    async def SetAbsence(self, request: pb.SetAbsenceRequest, _: Context) -> pb.SetAbsenceResponse:
        principal = current_principal()
        absence = await self._absences.set_absence(principal, absence_setting(request, principal))
        return pb.SetAbsenceResponse(absence=absence_message(absence))

    async def DeleteAbsence(self, request: pb.DeleteAbsenceRequest, _: Context) -> pb.DeleteAbsenceResponse:
        principal = current_principal()
        where = namespace(request.namespace, principal)
        if not request.absence_id:
            raise InvalidField.of("absence_id", "is required")
        absence = await self._absences.delete_absence(principal, where, request.absence_id)
        return pb.DeleteAbsenceResponse(absence=absence_message(absence))

    async def ListAbsences(self, request: pb.ListAbsencesRequest, _: Context) -> pb.ListAbsencesResponse:
        principal, secret = current_principal(), self._replica.secret
        page, limit = absence_page(request, principal), page_size(request.page_size, self._replica.limits)
        query = digest_query("absences", page)
        after = unseal(secret, query, request.page_token)[0] if request.page_token else ""
        found = await self._absences.list_absences(principal, page, limit + 1, after)
        token = seal(secret, query, [found[limit - 1].absence_id]) if len(found) > limit else ""
        return pb.ListAbsencesResponse(
            absences=[absence_message(each) for each in found[:limit]], next_page_token=token
        )
