"""The methods of the client for the directory of people. They need the role admin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from askback._model.people import Group, Person
from askback._model.times import timestamp
from askback._wire.calls import Calls
from askback.v1 import access_service_pb2 as pb


class PeopleCalls:
    """The directory of AccessService with Python values."""

    _calls: Calls
    namespace: str

    async def set_person(
        self,
        subject: str,
        *,
        display_name: str | None = None,
        email: str | None = None,
        time_zone: str | None = None,
        language: str | None = None,
        groups: Iterable[str] | None = None,
        active: bool | None = None,
        validate_only: bool = False,
    ) -> Person:
        """Add a person to the directory, or change the given fields, and return the person.

        `groups` replaces all groups that admins have set; an empty text or list means none. It gives no
        right: what a caller may do comes from its credentials alone. With `validate_only` nothing is changed,
        and the person is as it would be. Raises InvalidArgument, Unimplemented (an older server).
        """
        if isinstance(groups, str):
            raise TypeError(f"groups= takes a list of names, not the text {groups!r}")
        request = pb.SetPersonRequest(
            namespace=self.namespace,
            subject=subject,
            display_name=display_name,
            email=email,
            time_zone=time_zone,
            language=language,
            active=active,
            validate_only=validate_only,
        )
        if groups is not None:
            request.groups.CopyFrom(pb.PersonGroups(names=groups))
        reply = await self._calls.unary(self._calls.access.SetPerson, request)
        return Person.from_proto(reply.person)

    async def list_people(
        self,
        *,
        group: str = "",
        at: datetime | None = None,
        query: str = "",
        include_inactive: bool = False,
        page_size: int = 0,
    ) -> AsyncIterator[Person]:
        """Yield the people of the namespace by subject.

        `group` selects the people in a group, and `at` the memberships as they were then, an aware datetime.
        `query` is the beginning of a subject or of a word of a display name, in any case. With
        `include_inactive` also people who are not active, and with `at` those that were deleted since.
        Raises InvalidTime, InvalidArgument, Unimplemented (an older server).
        """
        request = pb.ListPeopleRequest(
            namespace=self.namespace,
            group=group,
            query=query,
            include_inactive=include_inactive,
            page_size=page_size,
        )
        if at is not None:
            request.at_time.CopyFrom(timestamp(at, "at"))
        while True:
            page = await self._calls.unary(self._calls.access.ListPeople, request)
            for person in page.people:
                yield Person.from_proto(person)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete_person(self, subject: str) -> None:
        """Erase what the directory knows of a person, except its subject and the dates of its memberships.

        A person whose credentials are still valid is listed again when it next uses the namespace. Raises
        NotFound.
        """
        request = pb.DeletePersonRequest(namespace=self.namespace, subject=subject)
        await self._calls.unary(self._calls.access.DeletePerson, request)

    async def set_group(self, name: str, *, complete: bool) -> Group:
        """Say whether the directory knows all members of a group, and return the group.

        Raises InvalidArgument.
        """
        request = pb.SetGroupRequest(namespace=self.namespace, name=name, complete=complete)
        return Group.from_proto((await self._calls.unary(self._calls.access.SetGroup, request)).group)

    async def list_groups(self, *, page_size: int = 0) -> AsyncIterator[Group]:
        """Yield by name the groups that have a member, or were named by `set_group`."""
        request = pb.ListGroupsRequest(namespace=self.namespace, page_size=page_size)
        while True:
            page = await self._calls.unary(self._calls.access.ListGroups, request)
            for group in page.groups:
                yield Group.from_proto(group)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
