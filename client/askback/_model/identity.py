"""The identity of a client as the server sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from askback._model.enums import Authentication, member_of
from askback._model.times import moment
from askback.v1 import access_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal of a client, as `Client.whoami` returns it.

    `namespaces` are those that the client may use; the first is its default. `roles` are those of `client`,
    `worker`, `console` and `admin` that it has. `expires` is the time when the credentials expire, None if
    they do not; compare it with `server_time`, the server's clock at the time of the answer.
    """

    subject: str
    namespaces: tuple[str, ...]
    all_namespaces: bool
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    admin: bool
    authentication: Authentication
    expires: datetime | None
    server_time: datetime | None

    @property
    def namespace(self) -> str:
        """The default namespace."""
        return self.namespaces[0] if self.namespaces else ""

    def may_use(self, namespace: str) -> bool:
        """Whether the client may use this namespace; empty stands for the default."""
        return not namespace or self.all_namespaces or namespace in self.namespaces

    def has(self, role: str) -> bool:
        """Whether the client has this role; an admin has every role."""
        return self.admin or role in self.roles

    @classmethod
    def from_proto(cls, response: pb.WhoAmIResponse) -> Identity:
        """The identity that a message describes."""
        return cls(
            response.subject,
            tuple(response.namespaces),
            response.all_namespaces,
            tuple(response.roles),
            tuple(response.groups),
            response.admin,
            member_of(Authentication, pb.Authentication, "AUTHENTICATION_", response.authentication),
            moment(response, "expire_time"),
            moment(response, "server_time"),
        )
