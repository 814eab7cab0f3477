"""AccessService: tells callers how they were authenticated, ends sign-in sessions, and has the directory."""

from __future__ import annotations

from collections.abc import Callable

from askback.v1 import access_service_pb2 as pb
from askback_server.domain.sizes import fit_bytes
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import Context, current_principal
from askback_server.transport.convert.people import (
    group_message,
    group_messages,
    people_filter,
    person_key,
    person_message,
    person_setting,
)
from askback_server.transport.convert.values import moment, namespace, page_size
from askback_server.transport.page_tokens import digest_query, seal, unseal
from askback_server.transport.tokens import Credentials


class AccessServicer:
    """Serves every authenticated caller, and admins. The contract documents the methods."""

    def __init__(self, credentials: Callable[[Context], Credentials], replica: Replica) -> None:
        """`credentials` returns the credentials of the call with this context."""
        self._credentials = credentials
        self._replica = replica
        self._directory = replica.directory

    async def WhoAmI(self, _: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        principal, shown = current_principal(), self._credentials(context)
        response = pb.WhoAmIResponse(
            subject=principal.subject,
            namespaces=[name for name in principal.namespaces if name != "*"],
            all_namespaces="*" in principal.namespaces,
            roles=sorted(principal.roles),
            groups=sorted(principal.groups),
            admin=principal.is_admin,
            authentication=pb.Authentication.Value(f"AUTHENTICATION_{shown.authentication}"),
        )
        if shown.expires is not None:
            response.expire_time.FromDatetime(shown.expires)
        response.server_time.GetCurrentTime()
        return response

    async def EndSession(self, request: pb.EndSessionRequest, _: Context) -> pb.EndSessionResponse:
        given = request.HasField("expire_time")
        expires_at = moment(request.expire_time, "expire_time") if given else None
        await self._replica.sign_outs.end(current_principal().subject, request.session_id, expires_at)
        return pb.EndSessionResponse()

    async def SetPerson(self, request: pb.SetPersonRequest, _: Context) -> pb.SetPersonResponse:
        principal = current_principal()
        person = await self._directory.set_person(
            principal, person_setting(request, principal), validate_only=request.validate_only
        )
        return pb.SetPersonResponse(person=person_message(person))

    async def ListPeople(self, request: pb.ListPeopleRequest, _: Context) -> pb.ListPeopleResponse:
        principal, limits, secret = current_principal(), self._replica.limits, self._replica.secret
        filter = people_filter(request, principal)
        query, limit = digest_query("people", filter), page_size(request.page_size, limits)
        after = unseal(secret, query, request.page_token)[0] if request.page_token else ""
        found = await self._directory.list_people(principal, filter, limit + 1, after)
        people = [person_message(each) for each in found[:limit]]
        fitting = fit_bytes(people, pb.Person.ByteSize, limits.page_bytes, at_least=1)
        token = seal(secret, query, [fitting[-1].subject]) if len(fitting) < len(found) else ""
        return pb.ListPeopleResponse(people=fitting, next_page_token=token)

    async def DeletePerson(self, request: pb.DeletePersonRequest, _: Context) -> pb.DeletePersonResponse:
        principal = current_principal()
        await self._directory.delete_person(principal, *person_key(request, principal))
        return pb.DeletePersonResponse()

    async def SetGroup(self, request: pb.SetGroupRequest, _: Context) -> pb.SetGroupResponse:
        principal = current_principal()
        where = namespace(request.namespace, principal)
        group = await self._directory.set_group(principal, where, request.name, request.complete)
        return pb.SetGroupResponse(group=group_message(group))

    async def ListGroups(self, request: pb.ListGroupsRequest, _: Context) -> pb.ListGroupsResponse:
        principal, secret = current_principal(), self._replica.secret
        where = namespace(request.namespace, principal)
        query, limit = digest_query("groups", where), page_size(request.page_size, self._replica.limits)
        after = unseal(secret, query, request.page_token)[0] if request.page_token else ""
        found = await self._directory.list_groups(principal, where, limit + 1, after)
        token = seal(secret, query, [found[limit - 1].name]) if len(found) > limit else ""
        return pb.ListGroupsResponse(groups=group_messages(found[:limit]), next_page_token=token)
