"""Storage of the directory of people. See `engine/directory.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from askback_server.domain.electorate import Electorate, ElectorateQuery
from askback_server.domain.people import Decision, Group, PeopleFilter, Person, PersonKey


class PeopleStore(Protocol):
    """One row per person and namespace, dated facts of memberships, and what is known of groups."""

    async def change(
        self, namespace: str, subjects: Sequence[str], decide: Callable[[PersonKey], Decision]
    ) -> Sequence[Person | None]:
        """Change people of a namespace in one transaction, each by the decision for its key.

        Writes what differs: a membership that is not in the result is ended, never deleted. Changes of the
        same person at several replicas follow each other. Returns the people as stored, in the order of
        `subjects`. Raises StorageUnavailable.
        """

    async def read_electorate(self, queries: Sequence[ElectorateQuery]) -> Electorate:
        """What is known of the people who are to approve prompts, and of those who have voted.

        At most one query for each namespace. Of a group with many members some are enough. Raises
        StorageUnavailable.
        """

    async def list_with_credentials(self) -> Sequence[PersonKey]:
        """The people of all namespaces that credentials name. Raises StorageUnavailable."""

    async def list_people(self, filter: PeopleFilter, limit: int, after: str) -> Sequence[Person]:
        """People with a subject behind `after`, by subject, with their memberships at the filter's time.

        Raises StorageUnavailable.
        """

    async def set_group(self, namespace: str, name: str, complete: bool) -> None:
        """Store whether all members of a group are known. Raises StorageUnavailable."""

    async def list_groups(
        self, namespace: str, limit: int, after: str = "", *, only: str = ""
    ) -> Sequence[Group]:
        """Groups with a member or a statement, with a name behind `after`, by name. `only`: the one of this
        name. Raises StorageUnavailable."""
