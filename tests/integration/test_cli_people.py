"""`askback people` and the methods of the client behind it, on one service with a token file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

import askback.sync
from askback import Client, InvalidArgument, MembershipSource, NotFound, PermissionDenied
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell
from tests.support.token_files import TokenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    """Each test changes a namespace of its own."""
    tokens = TokenFile(
        tmp_path_factory.mktemp("people") / "tokens.toml",
        root={"roles": ["admin"], "namespaces": ["default", "*"]},
        ana={},
    )
    async with serving(shared_lite_url, auth=str(tokens.path)) as running:
        yield running


@pytest.fixture
def shell(world: ServiceWorld, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    shell = Shell(
        tmp_path,
        f"127.0.0.1:{world.service.port}",
        ASKBACK_TOKEN="root-token",
        ASKBACK_NAMESPACE=request.node.name.replace("test_", "").replace("_", "-"),
    )
    yield shell
    shell.end()


def client(world: ServiceWorld, namespace: str, token: str = "root-token") -> Client:
    return Client(f"127.0.0.1:{world.service.port}", token=token, namespace=namespace)


async def test_the_client_sets_lists_and_deletes_people(world: ServiceWorld) -> None:
    async with client(world, "sdk") as admin:
        before = datetime.now(UTC)
        made = await admin.set_person(
            "cy", display_name="Cy", time_zone="Europe/Berlin", groups=["ops", "law"]
        )
        assert (made.subject, made.display_name, made.email, made.active) == ("cy", "Cy", "", True)
        assert made.groups == ("law", "ops")
        assert {each.source for each in made.memberships} == {MembershipSource.ADMIN}
        assert made.created_at is not None
        assert made.created_at >= before.replace(microsecond=0)
        changed = await admin.set_person("cy", groups=[])
        assert (changed.groups, changed.display_name) == ((), "Cy")
        seen = await admin.set_person("cy", display_name="Dee", validate_only=True)
        assert seen.display_name == "Dee"
        then = [person async for person in admin.list_people(group="ops", at=made.updated_at)]
        assert [person.display_name for person in then] == ["Cy"]
        assert then[0].memberships[0].until == changed.updated_at
        for number in range(3):
            await admin.set_person(f"p{number}", groups=[f"g{number}"], active=number > 0)
        assert [p.subject async for p in admin.list_people(page_size=1)] == ["cy", "p1", "p2"]
        assert [p.subject async for p in admin.list_people(query="P", include_inactive=True)] == [
            "p0",
            "p1",
            "p2",
        ]
        group = await admin.set_group("g1", complete=True)
        assert (group.name, group.complete, group.members) == ("g1", True, 1)
        assert [(g.name, g.members) async for g in admin.list_groups(page_size=1)] == [
            ("g0", 0),
            ("g1", 1),
            ("g2", 1),
        ]
        await admin.delete_person("cy")
        with pytest.raises(NotFound):
            await admin.delete_person("cyrus")
        with pytest.raises(InvalidArgument):
            await admin.set_person("cy", email="cy")
        with pytest.raises(TypeError, match="list of names"):
            await admin.set_person("cy", groups="ops")
    async with client(world, "", token="ana-token") as ana:
        with pytest.raises(PermissionDenied):
            await ana.set_person("ana", groups=["board"])


async def test_the_client_without_await_has_the_same_methods(world: ServiceWorld) -> None:
    def use(target: str) -> None:
        with askback.sync.Client(target, token="root-token", namespace="plain") as admin:
            assert admin.set_person("cy", groups=["ops"]).groups == ("ops",)
            assert [person.subject for person in admin.list_people()] == ["cy"]
            assert admin.set_group("ops", complete=False).members == 1
            assert [group.name for group in admin.list_groups()] == ["ops"]
            admin.delete_person("cy")
            assert list(admin.list_people()) == []

    await asyncio.to_thread(use, f"127.0.0.1:{world.service.port}")


async def test_people_are_set_listed_and_erased(shell: Shell) -> None:
    set_it = ["people", "set", "cy", "--name", "Cy Young", "--email", "cy@example.com", "--in-group", "ops"]
    assert (await shell.ok(*set_it, "--in-group", "law")).out == "cy in law, ops\n"
    assert (await shell.ok("people", "set", "dee")).out == "dee in no group\n"
    done = await shell.ok("people", "set", "eve", "--inactive", "--json")
    assert (done.json["subject"], done.json.get("active", False)) == ("eve", False)
    listed = await shell.ok("people", "ls")
    assert listed.out.splitlines() == [
        "cy\tCy Young\tlaw,ops\t\tyes\tcy@example.com\t\t",
        "dee\t\t\t\tyes\t\t\t",
    ]
    assert listed.err == "2 people\n"
    table = (await shell.ok("people", "ls", "--all", "-o", "table", "-q", COLUMNS="100")).out.splitlines()
    assert [line.split()[0] for line in table] == ["cy", "dee", "eve"]
    assert [person["subject"] for person in (await shell.ok("people", "ls", "YOU", "--json")).lines] == ["cy"]
    [member] = (await shell.ok("people", "ls", "--in-group", "ops", "--json")).lines
    assert [each["group"] for each in member["memberships"]] == ["law", "ops"]
    assert (await shell.ok("people", "set", "cy", "--no-groups", "--email", "")).out == "cy in no group\n"
    assert (await shell.ok("people", "ls", "--in-group", "ops")).out == ""
    at = member["memberships"][1]["fromTime"]
    assert (await shell.ok("people", "ls", "--in-group", "ops", "--at", at)).out.startswith(
        "cy\tCy Young\tlaw,ops"
    )
    assert (await shell.ok("people", "rm", "cy")).out == "erased cy\n"
    assert "cy" not in (await shell.ok("people", "ls", "--all")).out


async def test_mistakes_have_their_exit_codes(shell: Shell) -> None:
    wrong = await shell.run("people", "set", "cy", "--time-zone", "Mars")
    assert (wrong.code, "--time-zone: must be a name of the IANA database" in wrong.err) == (2, True)
    wrong = await shell.run("people", "set", "cy", "--in-group", "ops", "--no-groups")
    assert (wrong.code, "contradict" in wrong.err) == (2, True)
    assert (await shell.run("people", "group", "ops")).code == 2
    assert (await shell.run("people", "rm", "cy")).code == 3
    denied = await shell.run("people", "ls", ASKBACK_TOKEN="ana-token", ASKBACK_NAMESPACE="")
    assert (denied.code, "role admin" in denied.err) == (8, True)


async def test_groups_are_marked_and_listed(shell: Shell) -> None:
    await shell.ok("people", "set", "cy", "--in-group", "ops")
    assert (await shell.ok("people", "group", "ops", "--complete")).out == "ops: 1 person, complete\n"
    await shell.ok("people", "group", "law", "--incomplete")
    assert (await shell.ok("people", "groups")).out.splitlines() == ["law\t0\tno", "ops\t1\tyes"]
    assert (await shell.ok("people", "groups", "--json")).lines == [
        {"name": "law", "complete": False, "members": 0},
        {"name": "ops", "complete": True, "members": 1},
    ]


async def test_a_file_is_imported_whole_or_not_at_all(shell: Shell, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("subject,email,groups,colour\ncy,cy@example.com,ops;law,\ndee,dee,,\n,x@y,,\neve,,,red\n")
    refused = await shell.run("people", "import", str(bad))
    assert refused.code == 2
    assert "line 4: subject is missing" in refused.err
    assert "line 5: 'colour' is not a field" in refused.err
    bad.write_text("subject,email\ncy,cy@example.com\ndee,dee\n")
    refused = await shell.run("people", "import", str(bad))
    assert (refused.code, "line 3: email: must be one e-mail address" in refused.err) == (2, True)
    assert (await shell.ok("people", "ls")).out == ""
    good = tmp_path / "good.csv"
    good.write_text('\ufeffsubject,name,groups,active\ncy,"Young, Cy",ops; law,\ndee,,,no\n')
    dry = await shell.ok("people", "import", str(good), "--dry-run")
    assert dry.err == "2 people can be imported; nothing was written\n"
    assert (await shell.ok("people", "ls", "--all")).out == ""
    assert (await shell.ok("people", "import", str(good))).err == "imported 2 people\n"
    rows = [line.split("\t") for line in (await shell.ok("people", "ls", "--all")).out.splitlines()]
    assert [row[:3] + row[4:5] for row in rows] == [
        ["cy", "Young, Cy", "law,ops", "yes"],
        ["dee", "", "", "no"],
    ]
    lines = tmp_path / "people.jsonl"
    lines.write_text(
        '{"subject": "cy", "groups": [], "language": "de"}\n\n{"subject": "eve", "active": true}\n'
    )
    done = await shell.ok("people", "import", str(lines), "--json")
    assert done.lines == [{"subject": "cy", "written": True}, {"subject": "eve", "written": True}]
    [cy, eve] = (await shell.ok("people", "ls", "--json")).lines
    assert (cy["displayName"], cy["language"], cy.get("memberships")) == ("Young, Cy", "de", None)
    assert eve["subject"] == "eve"
    await shell.run("people", "import", str(tmp_path / "missing.csv"))
