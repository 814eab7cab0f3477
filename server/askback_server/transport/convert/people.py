"""People and groups of the directory, from and to messages."""

from __future__ import annotations

from collections.abc import Iterable

from askback.v1 import access_service_pb2 as pb
from askback_server.domain.errors import InvalidField
from askback_server.domain.people import Group, PeopleFilter, Person, PersonSetting
from askback_server.domain.principals import Principal
from askback_server.domain.violations import Violations
from askback_server.transport.convert.values import moment, namespace, put_time


def person_setting(request: pb.SetPersonRequest, principal: Principal) -> PersonSetting:
    """What an admin says of a person; None for fields that are unset. Raises PermissionDenied,
    InvalidField."""
    given = {
        name: getattr(request, name)
        for name in ("display_name", "email", "time_zone", "language", "active")
        if request.HasField(name)
    }
    groups = frozenset(request.groups.names) if request.HasField("groups") else None
    return PersonSetting(namespace(request.namespace, principal), request.subject, groups=groups, **given)


def people_filter(request: pb.ListPeopleRequest, principal: Principal) -> PeopleFilter:
    """Which people. Raises PermissionDenied, InvalidField."""
    check = Violations()
    check.storable("group", [request.group])
    check.storable("query", [request.query])
    check.done()
    return PeopleFilter(
        namespace(request.namespace, principal),
        request.group,
        moment(request.at_time, "at_time") if request.HasField("at_time") else None,
        request.query,
        request.include_inactive,
    )


def person_key(request: pb.DeletePersonRequest, principal: Principal) -> tuple[str, str]:
    """Namespace and subject. Raises PermissionDenied, InvalidField."""
    if not request.subject:
        raise InvalidField.of("subject", "is required")
    check = Violations()
    check.storable("subject", [request.subject])
    check.done()
    return namespace(request.namespace, principal), request.subject


def person_message(person: Person) -> pb.Person:
    """A person with its memberships."""
    message = pb.Person(
        subject=person.subject,
        display_name=person.display_name,
        email=person.email,
        time_zone=person.time_zone,
        language=person.language,
        active=person.active,
    )
    put_time(message.create_time, person.created_at)
    put_time(message.update_time, person.updated_at)
    if person.last_seen is not None:
        put_time(message.last_seen_time, person.last_seen)
    for each in person.memberships:
        source = pb.MembershipSource.Value(f"MEMBERSHIP_SOURCE_{each.source}")
        added = message.memberships.add(group=each.group, source=source)
        put_time(added.from_time, each.from_at)
        if each.until_at is not None:
            put_time(added.until_time, each.until_at)
    return message


def group_message(group: Group) -> pb.Group:
    """A group with the number of its members."""
    return pb.Group(name=group.name, complete=group.complete, members=group.members)


def group_messages(groups: Iterable[Group]) -> list[pb.Group]:
    """Groups in their order."""
    return [group_message(each) for each in groups]
