"""Authenticated callers, and their permissions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from askback_server.domain.errors import PermissionDenied


class Role(StrEnum):
    """The roles of principals."""

    CLIENT = "client"
    WORKER = "worker"
    CONSOLE = "console"
    ADMIN = "admin"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    subject: str
    """Its unique name."""
    roles: frozenset[Role] = frozenset()
    namespaces: tuple[str, ...] = ("default",)
    """The tenants that it may use (`*`: all). The first is its default."""
    groups: frozenset[str] = field(default_factory=frozenset)
    """With `subject`, they decide which prompts it may see as a console."""

    @property
    def is_admin(self) -> bool:
        """Whether it may see and change all prompts and jobs of its namespaces."""
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
        """The namespace of a request: `asked`, or the default if empty.

        Raises PermissionDenied if the principal may not use it.
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
        """Whether it may use the namespace."""
        return namespace in self.namespaces or "*" in self.namespaces


SYSTEM = Principal("system", frozenset({Role.ADMIN}), ("*",))
"""The principal of commands that the service itself sends."""
