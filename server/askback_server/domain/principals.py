"""Who calls, and what they may see and do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from askback_server.domain.errors import PermissionDenied


class Role(StrEnum):
    """What a principal is for."""

    CLIENT = "client"
    WORKER = "worker"
    CONSOLE = "console"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `namespaces` are the tenants it may use; the first is its default. `groups` decide, with
    `subject`, which prompts it may see as a console.
    """

    subject: str
    roles: frozenset[Role] = frozenset()
    namespaces: tuple[str, ...] = ("default",)
    groups: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        """Whether every prompt and job of its namespaces is open to it."""
        return Role.ADMIN in self.roles

    def has(self, *roles: Role) -> bool:
        """Whether it has one of the roles, or is an admin."""
        return self.is_admin or not self.roles.isdisjoint(roles)

    def require(self, *roles: Role) -> None:
        """Raise PermissionDenied unless it has one of the roles."""
        if not self.has(*roles):
            needs = " or ".join(roles)
            raise PermissionDenied(f"this call needs the role {needs}", needs=needs)

    def namespace(self, asked: str) -> str:
        """The namespace meant by a request: `asked`, or the default if empty.

        Raises PermissionDenied for one that it may not use.
        """
        if not asked:
            return self.namespaces[0]
        if not self.may_use(asked):
            raise PermissionDenied(
                f"the namespace {asked!r} is not yours; use one of: {', '.join(self.namespaces)}",
                needs=f"namespace {asked}",
            )
        return asked

    def may_use(self, namespace: str) -> bool:
        """Whether the namespace is one of its own (`*` in a token file means all)."""
        return namespace in self.namespaces or "*" in self.namespaces


SYSTEM = Principal("system", frozenset({Role.ADMIN}), ("*",))
"""Timers, sweep and lease keeping act as this."""
