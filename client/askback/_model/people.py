"""People and groups of the directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from askback._model.enums import MembershipSource, member_of
from askback._model.times import moment
from askback.v1 import access_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Membership:
    """That a person is, or was, in a group: from `since` until before `until`, None if it has not ended.

    It gives no right. A person may be in a group by both sources: then there are two memberships.
    """

    group: str
    source: MembershipSource
    since: datetime | None
    until: datetime | None

    @classmethod
    def from_proto(cls, message: pb.Membership) -> Membership:
        """The membership that a message describes."""
        source = member_of(MembershipSource, pb.MembershipSource, "MEMBERSHIP_SOURCE_", message.source)
        return cls(message.group, source, moment(message, "from_time"), moment(message, "until_time"))


@dataclass(frozen=True, slots=True)
class Person:
    """A person in the directory of a namespace. Texts are empty where they are not known.

    `memberships` are those of the time that was asked for. `last_seen` is about when the person last used
    the namespace, None if never. A person that is not `active` has no credentials any more, or an admin has
    said so.
    """

    subject: str
    display_name: str
    email: str
    time_zone: str
    language: str
    memberships: tuple[Membership, ...]
    last_seen: datetime | None
    active: bool
    created_at: datetime | None
    updated_at: datetime | None
    proto: pb.Person

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the person's groups, each once, in alphabetical order."""
        return tuple(sorted({each.group for each in self.memberships}))

    @classmethod
    def from_proto(cls, message: pb.Person) -> Person:
        """The person that a message describes."""
        return cls(
            message.subject,
            message.display_name,
            message.email,
            message.time_zone,
            message.language,
            tuple(map(Membership.from_proto, message.memberships)),
            moment(message, "last_seen_time"),
            message.active,
            moment(message, "create_time"),
            moment(message, "update_time"),
            message,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a namespace: how many active people are in it, and whether the directory knows all."""

    name: str
    complete: bool
    members: int

    @classmethod
    def from_proto(cls, message: pb.Group) -> Group:
        """The group that a message describes."""
        return cls(message.name, message.complete, message.members)
