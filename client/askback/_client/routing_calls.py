"""The methods of the client that change who may answer: delegation, rerouting, absences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from askback._model.absences import Absence
from askback._model.content import Deadline
from askback._model.escalation import After
from askback._model.prompts import PromptInfo
from askback._model.routing import delegate_request, reroute_request, return_request
from askback._model.times import timestamp
from askback._wire.calls import Calls
from askback.v1 import policy_service_pb2 as pb


class RoutingCalls:
    """Delegation and rerouting of HitlService, and PolicyService, with Python values."""

    _calls: Calls
    namespace: str

    async def delegate(
        self,
        prompt: PromptInfo | str,
        *,
        to: str = "",
        group: str = "",
        add: bool = False,
        comment: str = "",
    ) -> PromptInfo:
        """Give your right to answer an open prompt to the person `to`, or to each member of `group`.

        It stays your right: their answer counts as yours. You may not answer any more, and do not see the
        prompt, unless with `add`: then you may answer too, and the first answer counts. Repeating it changes
        nothing. Returns the prompt. Raises DelegationRefused (`because` says why), PermissionDenied (for
        people whom the prompt excludes, and admins who are not asked), PromptClosed, NotFound.
        """
        request = delegate_request(prompt, to, group, add=add, comment=comment)
        return PromptInfo((await self._calls.unary(self._calls.hitl.DelegatePrompt, request)).prompt)

    async def return_prompt(
        self, prompt: PromptInfo | str, *, to: str = "", group: str = "", comment: str = ""
    ) -> PromptInfo:
        """End a delegation: the right returns to the person who gave it.

        Without `to` and `group` it is the delegation to you. With one of them you take back what you have
        delegated to that person or group, also if you do not see the prompt any more; an admin may end any
        delegation. Claims and votes by it end. Where there is none nothing changes. Returns the prompt.
        Raises PromptClosed, NotFound.
        """
        request = return_request(prompt, to, group, comment)
        return PromptInfo((await self._calls.unary(self._calls.hitl.DelegatePrompt, request)).prompt)

    async def reroute(
        self,
        prompt: PromptInfo | str,
        *,
        to: Iterable[str] | None = None,
        priority: int | None = None,
        deadline: Deadline | None = None,
        escalate: Iterable[After] | None = None,
        reason: str = "",
    ) -> PromptInfo:
        """Change who is asked by an open prompt, and until when; what is not given stays.

        `to` names `user:NAME` and `group:NAME`: who is asked instead. Then all delegations, the claim, and
        the votes of people who are asked no more end. `deadline` counts from now, or is a time; so do the
        steps of `escalate`, and an empty list ends the escalation. `reason` is for people. It needs the role
        client or worker. Returns the prompt. Raises InvalidArgument, ValueError, InvalidTime, PromptClosed,
        NotFound.
        """
        request = reroute_request(
            prompt, to=to, priority=priority, deadline=deadline, escalate=escalate, reason=reason
        )
        return PromptInfo((await self._calls.unary(self._calls.hitl.ReroutePrompt, request)).prompt)

    async def set_absence(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        substitute: str = "",
        comment: str = "",
        subject: str = "",
        absence_id: str = "",
    ) -> Absence:
        """Say that you are away until a time, an aware datetime, and who stands in. Returns the absence.

        It begins at `since`, or now. `subject` is another person, for whom only an admin may say it. With an
        `absence_id` that absence is changed: what is not given is empty then, and `since` stays. Raises
        InvalidTime, InvalidArgument (also for a substitute that the directory does not know, and for people
        who stand in for each other), NotFound for an unknown id, PermissionDenied, Unimplemented (an older
        server).
        """
        request = pb.SetAbsenceRequest(
            namespace=self.namespace,
            absence_id=absence_id,
            subject=subject,
            until_time=timestamp(until, "until"),
            substitute=substitute,
            comment=comment,
        )
        if since is not None:
            request.from_time.CopyFrom(timestamp(since, "since"))
        reply = await self._calls.unary(self._calls.policy.SetAbsence, request)
        return Absence.from_proto(reply.absence)

    async def delete_absence(self, absence_id: str) -> Absence:
        """End an absence now, or before it has begun, and return it. Raises NotFound, Unimplemented."""
        request = pb.DeleteAbsenceRequest(namespace=self.namespace, absence_id=absence_id)
        return Absence.from_proto(
            (await self._calls.unary(self._calls.policy.DeleteAbsence, request)).absence
        )

    async def list_absences(
        self, *, subject: str = "", include_past: bool = False, page_size: int = 0
    ) -> AsyncIterator[Absence]:
        """Yield the absences of the namespace, or those of one person, in the order in which they were made.

        With `include_past` also those that are over. Raises InvalidArgument, Unimplemented (an older server).
        """
        request = pb.ListAbsencesRequest(
            namespace=self.namespace, subject=subject, include_past=include_past, page_size=page_size
        )
        while True:
            page = await self._calls.unary(self._calls.policy.ListAbsences, request)
            for absence in page.absences:
                yield Absence.from_proto(absence)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
