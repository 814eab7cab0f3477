"""The directory of people over two replicas: dated facts, one current fact, lists as of a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import PermissionDenied, StorageUnavailable
from askback_server.domain.limits import Limits
from askback_server.domain.people import (
    Group,
    PeopleFilter,
    Person,
    PersonNotFound,
    PersonSetting,
    Roster,
    Source,
)
from askback_server.domain.principals import Principal, Role
from askback_server.engine import directory as engine
from askback_server.engine.directory import Directory
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.storage.database import Database
from askback_server.storage.people_tables import group_members
from tests.support.plans import plan_of, statements_of
from tests.support.storage import fetch

CONSOLE = frozenset({Role.CONSOLE})
ROOT = Principal("root", frozenset({Role.ADMIN}), ("default", "*"))
ALL = PeopleFilter("default", include_inactive=True)
OPS, LAW = frozenset({"ops"}), frozenset({"law"})


class Replica(Directory):
    """A directory whose token file is `entries`; None: there is none."""

    def __init__(self, database: Database, *entries: Principal, file: bool = True) -> None:
        clock = DatabaseClock(SystemClock())
        self.entries: Roster | None = Roster.of(entries) if file else None
        super().__init__(database.people, clock, Limits(), lambda: self.entries)

    async def reload(self, *entries: Principal) -> None:
        self.entries = Roster.of(entries)
        await self.write()

    async def set(self, subject: str, **fields: object) -> Person:
        setting = PersonSetting("default", subject, **fields)  # type: ignore[arg-type]
        return await self.set_person(ROOT, setting)

    async def list(self, filter: PeopleFilter = ALL) -> Sequence[Person]:
        return await self.list_people(ROOT, filter, 100, "")


def person(subject: str, *groups: str, namespaces: tuple[str, ...] = ("default",)) -> Principal:
    return Principal(subject, CONSOLE, namespaces, frozenset(groups))


def subjects(people: Sequence[Person]) -> list[str]:
    return [each.subject for each in people]


async def facts(database: Database) -> list[tuple[str, str, str, bool]]:
    """Subject, group and source of all facts by their beginning, and whether they are current."""
    rows = await fetch(database, sa.select(group_members).order_by(group_members.c.from_at))
    return [(r["subject"], r["group_name"], r["source"], r["until_at"] is None) for r in rows]


async def test_a_membership_is_ended_and_never_deleted(database: Database) -> None:
    here = Replica(database, file=False)
    await here.set("ana", groups=OPS)
    during = await database.ping()
    await here.set("ana", groups=LAW)
    after = await database.ping()
    assert await facts(database) == [("ana", "ops", "ADMIN", False), ("ana", "law", "ADMIN", True)]
    [then] = await here.list(replace(ALL, group="ops", at=during))
    [fact] = then.memberships
    assert (fact.group, fact.source, fact.set_by) == ("ops", Source.ADMIN, "root")
    assert fact.until_at is not None
    assert fact.from_at <= during < fact.until_at <= after
    assert await here.list(replace(ALL, group="ops", at=fact.until_at)) == []
    assert subjects(await here.list(replace(ALL, group="ops", at=fact.from_at))) == ["ana"]
    assert await here.list(replace(ALL, group="ops")) == []
    assert await here.list(replace(ALL, group="law", at=during)) == []
    [now] = await here.list(replace(ALL, group="law", at=after))
    assert [each.group for each in now.memberships] == ["law"]


async def test_two_replicas_that_see_a_person_at_once_write_one_current_fact(database: Database) -> None:
    replicas = [Replica(database, file=False) for _ in range(4)]
    for subject in ("ana", "bob"):
        for each in replicas:
            each.note(person(subject, "ops", "law"), "default")
    await asyncio.gather(*(each.write() for each in replicas))
    assert sorted(await facts(database)) == [
        (subject, group, "CREDENTIALS", True) for subject in ("ana", "bob") for group in ("law", "ops")
    ]
    assert subjects(await replicas[0].list()) == ["ana", "bob"]


async def test_admins_at_two_replicas_lose_no_group(database: Database) -> None:
    """Each says all groups: the last one wins whole, and no fact is current twice."""
    replicas = [Replica(database, file=False) for _ in range(4)]
    await asyncio.gather(
        *(each.set("ana", groups=frozenset({"ops", f"g{n}"})) for n, each in enumerate(replicas))
    )
    current = [group for _, group, _, is_current in await facts(database) if is_current]
    assert len(current) == 2
    assert "ops" in current


async def test_two_admins_that_add_a_person_at_once_lose_nothing(database: Database) -> None:
    """The one that comes second decides again, on the row of the first."""
    replicas = [Replica(database, file=False) for _ in range(4)]
    said = ({"display_name": "Ana"}, {"email": "ana@b"}, {"time_zone": "UTC"}, {"language": "de"})
    await asyncio.gather(*(each.set("ana", **one) for each, one in zip(replicas, said, strict=True)))
    [ana] = await replicas[0].list()
    assert (ana.display_name, ana.email, ana.time_zone, ana.language) == ("Ana", "ana@b", "UTC", "de")


async def test_a_token_file_is_the_complete_statement(database: Database) -> None:
    here = Replica(database, person("ana", "ops"), person("bob", "ops", "law"))
    await here.write()
    await here.set("cy", groups=OPS)
    await here.reload(person("bob", "law"), person("dee"))
    people = {each.subject: each for each in await here.list()}
    assert {name: each.active for name, each in people.items()} == {
        "ana": False,
        "bob": True,
        "cy": True,
        "dee": True,
    }
    assert [m.group for m in people["bob"].memberships] == ["law"]
    assert people["ana"].memberships == ()
    assert subjects(await here.list(PeopleFilter("default"))) == ["bob", "cy", "dee"]
    await here.reload(person("ana", "ops"))
    assert subjects(await here.list(PeopleFilter("default", group="ops"))) == ["ana", "cy"]


async def test_a_person_is_listed_where_its_credentials_say_and_it_was_seen(database: Database) -> None:
    ana = person("ana", "ops", namespaces=("blue", "*"))
    here = Replica(database, ana)
    await here.write()
    assert subjects(await here.list(PeopleFilter("blue"))) == ["ana"]
    assert await here.list(PeopleFilter("red")) == []
    here.note(ana, "red")
    await here.write()
    [red] = await here.list(PeopleFilter("red"))
    assert [m.group for m in red.memberships] == ["ops"]
    assert red.last_seen is not None
    [blue] = await here.list(PeopleFilter("blue"))
    assert blue.last_seen is None
    # The file's next statement concerns the namespace that `*` stood for, too.
    await here.reload(person("ana", "law", namespaces=("blue", "*")))
    [red] = await here.list(PeopleFilter("red"))
    assert [m.group for m in red.memberships] == ["law"]
    await here.reload()
    assert await here.list(PeopleFilter("red")) == []


async def test_with_a_token_file_the_groups_of_calls_do_not_count(database: Database) -> None:
    here = Replica(database, person("ana", "ops"))
    here.note(person("ana", "law"), "default")
    here.note(person("gone", "law"), "default")
    await here.write()
    [ana] = await here.list()
    assert [m.group for m in ana.memberships] == ["ops"]


async def test_without_a_token_file_memberships_follow_the_calls(database: Database) -> None:
    here = Replica(database, file=False)
    here.note(person("ana", "ops"), "default")
    await here.write()
    here.note(person("ana", "law"), "default")
    await here.write()
    assert await facts(database) == [
        ("ana", "ops", "CREDENTIALS", False),
        ("ana", "law", "CREDENTIALS", True),
    ]


async def test_what_says_nothing_new_runs_no_statement(database: Database) -> None:
    here = Replica(database, person("ana", "ops"))
    here.note(person("ana", "ops"), "default")
    assert await statements_of(here.write())
    here.note(person("ana", "ops"), "default")
    here.note(Principal("bot", frozenset({Role.WORKER, Role.CLIENT})), "default")
    here.note(person("anonymous"), "default")
    here._store = None  # type: ignore[assignment]
    await here.write()


async def test_notes_and_the_token_file_are_kept_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_NOTES", 3)
    here, guarded = Replica(database, file=False), Replica(database, person("of-the-file"))
    for number in range(5):
        here.note(person(f"p{number}"), "default")
    run = database._dialect.run

    async def fail(_: object) -> object:
        raise StorageUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(database._dialect, "run", fail)
        for each in (here, guarded):
            with pytest.raises(StorageUnavailable):
                await each.write()
    assert database._dialect.run == run
    for each in (here, guarded):
        await each.write()
    # The oldest notes were dropped. The token file lists its person; those that it does not name are gone.
    assert subjects(await here.list()) == ["of-the-file", "p2", "p3", "p4"]
    assert subjects(await here.list(PeopleFilter("default"))) == ["of-the-file"]


async def test_a_deleted_person_is_erased_and_comes_back_when_seen(database: Database) -> None:
    ana = person("ana", "ops")
    here = Replica(database, ana)
    here.note(ana, "default")
    await here.write()
    await here.set("ana", display_name="Ana Lopez", email="ana@example.com", groups=LAW)
    during = await database.ping()
    there = Replica(database, ana)
    await there.write()
    for each in (here, there):
        each.note(ana, "default")
    await here.delete_person(ROOT, "default", "ana")
    await here.delete_person(ROOT, "default", "ana")
    for each in (here, there):  # what was noted before the deletion
        await each.write()
    assert await here.list() == []
    assert await here.list_groups(ROOT, "default", 10, "") == [Group("ops", members=0)]
    [row] = await fetch(database, sa.text("SELECT * FROM people"))
    assert "lopez" not in str(dict(row)).lower()
    assert "example.com" not in str(dict(row))
    [then] = await here.list(replace(ALL, group="law", at=during))
    assert (then.subject, then.display_name, then.active) == ("ana", "", False)
    assert await here.list(PeopleFilter("default", group="law", at=during)) == []
    assert await here.list(replace(ALL, at=await database.ping())) == []
    await here.write()  # the file was read already
    assert await here.list() == []
    here.note(ana, "default")
    await here.write()
    [back] = await here.list()
    assert (back.active, back.display_name, [m.group for m in back.memberships]) == (True, "", ["ops"])


async def test_an_unknown_person_cannot_be_deleted(database: Database) -> None:
    here = Replica(database, file=False)
    await here.set("ana")
    for namespace, subject in (("default", "eve"), ("elsewhere", "ana")):
        with pytest.raises(PersonNotFound):
            await here.delete_person(ROOT, namespace, subject)


async def test_namespaces_have_their_own_people_and_groups(database: Database) -> None:
    here = Replica(database, file=False)
    await here.set("ana", display_name="Ana", groups=OPS)
    await here.set_person(ROOT, PersonSetting("blue", "ana", groups=LAW))
    await here.set_group(ROOT, "blue", "ops", True)
    await here.delete_person(ROOT, "blue", "ana")
    [ana] = await here.list(replace(ALL, group="ops"))
    assert ana.display_name == "Ana"
    assert await here.list(PeopleFilter("blue", group="ops", include_inactive=True)) == []
    assert await here.list_groups(ROOT, "default", 10, "") == [Group("ops", False, 1)]
    await here.set_person(ROOT, PersonSetting("blue", "ana"))
    await here.set("ana", active=False)
    assert await here.list_groups(ROOT, "default", 10, "") == [Group("ops", False, 0)]
    assert [person.display_name for person in await here.list(PeopleFilter("blue"))] == [""]


async def test_pages_are_ordered_by_subject_on_both_databases(database: Database) -> None:
    here = Replica(database, file=False)
    names = ["Zoe", "ana", "ana-b", "ana_c", "bob", "\u00e4na"]
    for name in reversed(names):
        await here.set(name, groups=OPS)
    found: list[str] = []
    while page := await here.list_people(ROOT, ALL, 2, found[-1] if found else ""):
        found += subjects(page)
    assert found == names


async def test_a_search_finds_beginnings_in_any_case(database: Database) -> None:
    here = Replica(database, file=False)
    await here.set("a.pena", display_name="Ana Mar\u00eda PE\u00d1A")
    await here.set("root_100%", display_name="Bob")
    for query, wanted in {
        "A.P": ["a.pena"],
        "pe\u00d1": ["a.pena"],
        "mar\u00cda": ["a.pena"],
        "ena": [],
        "root_1": ["root_100%"],
        "root-1": [],
        "%": [],
        "bOb": ["root_100%"],
    }.items():
        assert subjects(await here.list(replace(ALL, starts=query))) == wanted, query


async def test_groups_count_active_people_once(database: Database) -> None:
    here = Replica(database, person("ana", "ops"), person("bob", "ops"))
    await here.write()
    await here.set("ana", groups=OPS)
    await here.set("bob", active=False)
    await here.set_group(ROOT, "default", "empty", True)
    assert await here.set_group(ROOT, "default", "ops", True) == Group("ops", True, 1)
    assert await here.set_group(ROOT, "default", "empty", False) == Group("empty", False, 0)
    await here.set("cy", groups=LAW)
    await here.set("cy", groups=frozenset())
    assert await here.list_groups(ROOT, "default", 10, "") == [Group("empty"), Group("ops", True, 1)]
    assert await here.list_groups(ROOT, "default", 1, "empty") == [Group("ops", True, 1)]


async def test_only_admins_use_the_directory(database: Database) -> None:
    here = Replica(database, file=False)
    eve = person("eve", namespaces=("default", "*"))
    calls: list[Callable[[], object]] = [
        lambda: here.set_person(eve, PersonSetting("default", "eve", groups=OPS)),
        lambda: here.delete_person(eve, "default", "eve"),
        lambda: here.list_people(eve, ALL, 10, ""),
        lambda: here.set_group(eve, "default", "ops", True),
        lambda: here.list_groups(eve, "default", 10, ""),
    ]
    for call in calls:
        with pytest.raises(PermissionDenied):
            await call()  # type: ignore[misc]


async def test_a_list_uses_indexes(database: Database) -> None:
    here = Replica(database, file=False)
    await here.set("ana", groups=OPS)
    at: datetime = await database.ping() + timedelta(seconds=1)
    rows, members = await statements_of(here.list(PeopleFilter("default", group="ops", at=at, starts="a")))
    plan = await plan_of(database, rows)
    assert "pk_people" in plan or "sqlite_autoindex_people" in plan
    assert "ix_group_members_group" in plan
    assert "group_members_" in await plan_of(database, members)
