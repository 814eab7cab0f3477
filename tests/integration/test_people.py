"""The directory of people over gRPC: token files, sightings, pages, and that it gives no right."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from askback.v1 import access_service_pb2 as pb
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.people import PeopleFilter
from askback_server.engine import directory
from askback_server.transport import tokens
from tests.support.processes import eventually
from tests.support.refusals import expect_refusal
from tests.support.requests import audience, confirm
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.token_files import TokenFile

MODULE = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True, scope="module")
def short_intervals() -> Iterator[None]:
    """Write what was noted often, and look at the token file with every call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "INTERVAL_SECONDS", 0.02)
        patch.setattr(tokens, "_RECHECK_SECONDS", 0.0)
        yield


PEOPLE: dict[str, Any] = {
    "root": {"roles": ["admin"], "namespaces": ["default", "*"]},
    "ana": {"groups": ["ops"]},
    "bot": {"roles": ["worker", "client"]},
}


@pytest.fixture
def token_file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.toml", **PEOPLE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    """A service with these people, for tests that change different namespaces only."""
    path = tmp_path_factory.mktemp("people") / "tokens.toml"
    async with serving(shared_lite_url, auth=str(TokenFile(path, **PEOPLE).path)) as world:
        yield world


async def people(caller: Caller, **fields: Any) -> dict[str, pb.Person]:
    reply = await caller.access.ListPeople(pb.ListPeopleRequest(**fields))
    return {each.subject: each for each in reply.people}


async def listed(caller: Caller, names: set[str], **fields: Any) -> dict[str, pb.Person]:
    """The people, once they are these."""

    async def are_these() -> dict[str, pb.Person] | None:
        found = await people(caller, **fields)
        return found if set(found) == names else None

    return await eventually(are_these, f"{names} are listed")  # type: ignore[return-value]


def groups(person: pb.Person) -> list[str]:
    return [each.group for each in person.memberships]


async def test_the_token_files_people_are_listed_and_follow_it(lite_url: str, token_file: TokenFile) -> None:
    async with serving(lite_url, auth=str(token_file.path)) as world:
        root = world.with_token("root-token")
        found = await listed(root, {"root", "ana"})
        assert found["ana"].active
        [membership] = found["ana"].memberships
        assert (membership.group, membership.source) == ("ops", pb.MEMBERSHIP_SOURCE_CREDENTIALS)
        assert not membership.HasField("until_time")
        assert not found["ana"].HasField("last_seen_time")
        token_file.write(ana={"groups": ["law"]}, eve={})
        found = await listed(root, {"root", "ana", "eve"})
        assert groups(found["ana"]) == ["law"]
        token_file.write(without="ana")
        await listed(root, {"root"})
        gone = (await people(root, include_inactive=True))["ana"]
        assert not gone.active
        assert groups(gone) == []


async def test_an_entry_that_expires_counts_as_gone(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    entry = f'sha256 = "{hashlib.sha256(b"t").hexdigest()}"\nroles = ["console"]\nnamespaces = ["default"]'
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[tokens]]\n{entry}\nsubject = "ana"\nexpires = {(now + timedelta(1)).isoformat()}\n')
    clock = [now]
    read = tokens.TokenFile(path, now=lambda: clock[0])
    assert read.roster().keys() == {("default", "ana")}
    assert read.roster() is read.roster()
    clock[0] += timedelta(1)
    assert read.roster().keys() == set()


@MODULE
async def test_the_use_of_prompts_and_figures_is_a_sighting(shared: ServiceWorld) -> None:
    root = shared.with_token("root-token")
    console = shared.console(root)
    await console.hello(namespace="by-converse")
    await listed(root, {"root"}, namespace="by-converse")
    watch = root.hitl.WatchPrompts(hitl.WatchPromptsRequest(namespace="by-watch"))
    await watch.read()
    await listed(root, {"root"}, namespace="by-watch")
    await root.hitl.ListPrompts(hitl.ListPromptsRequest(namespace="by-list"))
    await listed(root, {"root"}, namespace="by-list")
    ask = jobs.CreateJobRequest(namespace="by-reading", job_type="t", prompt=confirm())
    asked = (await root.jobs.CreateJob(ask)).prompt
    assert await people(root, namespace="by-reading") == {}
    await root.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=asked.prompt_id))
    await listed(root, {"root"}, namespace="by-reading")
    await root.jobs.GetOverview(jobs.GetOverviewRequest(namespace="by-figures"))
    found = await listed(root, {"root"}, namespace="by-figures")
    assert found["root"].HasField("last_seen_time")
    await root.jobs.ListJobs(jobs.ListJobsRequest(namespace="by-jobs"))
    await root.hitl.ListPrompts(hitl.ListPromptsRequest(namespace="by-list-2"))
    await listed(root, {"root"}, namespace="by-list-2")
    assert await people(root, namespace="by-jobs") == {}
    watch.cancel()


async def test_without_authentication_calls_name_people_and_groups(lite: ServiceWorld) -> None:
    """No caller is an admin here, so the store is asked."""
    await lite.as_user("ana", "ops, law").hitl.ListPrompts(hitl.ListPromptsRequest())
    await Caller(lite.channel, ()).hitl.ListPrompts(hitl.ListPromptsRequest())  # anonymous
    store = lite.service.replica.directory._store
    found = await eventually(lambda: store.list_people(PeopleFilter("default"), 10, ""), "ana is listed")
    [ana] = found
    assert [(m.group, str(m.source)) for m in ana.memberships] == [
        ("law", "CREDENTIALS"),
        ("ops", "CREDENTIALS"),
    ]


@MODULE
async def test_set_person_gives_no_right(shared: ServiceWorld) -> None:
    root, ana = shared.with_token("root-token"), shared.with_token("ana-token")
    await shared.with_token("bot-token").jobs.CreateJob(
        jobs.CreateJobRequest(job_type="t", prompt=confirm(audience=audience(groups=["board"])))
    )
    request = pb.SetPersonRequest(subject="ana", groups={"names": ["board"]})
    person = (await root.access.SetPerson(request)).person
    assert "board" in groups(person)
    assert not (await ana.hitl.ListPrompts(hitl.ListPromptsRequest())).prompts
    await expect_refusal(
        ana.access.ListPeople(pb.ListPeopleRequest()), "PERMISSION_DENIED", "PERMISSION_DENIED"
    )


@MODULE
async def test_a_person_is_set_changed_listed_and_deleted(shared: ServiceWorld) -> None:
    root = shared.with_token("root-token")
    where = {"namespace": "office"}
    request = pb.SetPersonRequest(
        **where,
        subject="cy",
        display_name="Cy Young",
        email="cy@example.com",
        time_zone="Europe/Berlin",
        language="de",
        groups={"names": ["ops", "law"]},
    )
    made = (await root.access.SetPerson(request)).person
    assert made == (await root.access.SetPerson(request)).person
    assert (made.display_name, made.email, made.time_zone, made.language, made.active) == (
        "Cy Young",
        "cy@example.com",
        "Europe/Berlin",
        "de",
        True,
    )
    changed = (await root.access.SetPerson(pb.SetPersonRequest(**where, subject="cy", email=""))).person
    assert (changed.email, changed.display_name, groups(changed)) == ("", "Cy Young", ["law", "ops"])
    no_groups = pb.SetPersonRequest(**where, subject="cy", groups={}, active=False)
    changed = (await root.access.SetPerson(no_groups)).person
    assert (groups(changed), changed.active) == ([], False)
    assert await people(root, **where) == {}
    then = await people(root, **where, at_time=made.create_time, group="ops", include_inactive=True)
    assert groups(then["cy"]) == ["law", "ops"]
    assert then["cy"].memberships[0].HasField("until_time")
    gone = pb.DeletePersonRequest(**where, subject="cy")
    await root.access.DeletePerson(gone)
    await root.access.DeletePerson(gone)
    assert await people(root, **where, include_inactive=True) == {}
    refused = await expect_refusal(
        root.access.DeletePerson(pb.DeletePersonRequest(subject="cy")), "NOT_FOUND", "PERSON_NOT_FOUND"
    )
    assert refused.metadata["subject"] == "cy"


@MODULE
async def test_people_and_groups_come_in_pages(shared: ServiceWorld) -> None:
    root = shared.with_token("root-token")
    for number in range(5):
        request = pb.SetPersonRequest(
            namespace="pages", subject=f"p{number}", groups={"names": [f"g{number}", "all"]}
        )
        await root.access.SetPerson(request)
    found, token = [], ""
    while True:
        page = await root.access.ListPeople(
            pb.ListPeopleRequest(namespace="pages", group="all", page_size=2, page_token=token)
        )
        found += [each.subject for each in page.people]
        token = page.next_page_token
        if not token:
            break
        other = pb.ListPeopleRequest(namespace="pages", page_size=2, page_token=token)
        await expect_refusal(root.access.ListPeople(other), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")
    assert found == [f"p{number}" for number in range(5)]
    await root.access.SetGroup(pb.SetGroupRequest(namespace="pages", name="g9", complete=True))
    names, token = [], ""
    while True:
        listing = pb.ListGroupsRequest(namespace="pages", page_size=4, page_token=token)
        groups_page = await root.access.ListGroups(listing)
        names += [(each.name, each.complete, each.members) for each in groups_page.groups]
        token = groups_page.next_page_token
        if not token:
            break
    assert names == [
        ("all", False, 5),
        *((f"g{number}", False, 1) for number in range(5)),
        ("g9", True, 0),
    ]


@MODULE
async def test_wrong_requests_name_the_field(shared: ServiceWorld) -> None:
    access = shared.with_token("root-token").access
    for call, field in (
        (access.SetPerson(pb.SetPersonRequest(subject="a", time_zone="Mars/Base")), "time_zone"),
        (access.SetPerson(pb.SetPersonRequest(subject="a", groups={"names": [""]})), "groups.names"),
        (access.SetPerson(pb.SetPersonRequest(subject="anonymous")), "subject"),
        (access.DeletePerson(pb.DeletePersonRequest()), "subject"),
        (access.DeletePerson(pb.DeletePersonRequest(subject="a\0")), "subject"),
        (access.ListPeople(pb.ListPeopleRequest(query="a\0")), "query"),
        (access.ListPeople(pb.ListPeopleRequest(at_time={"nanos": -1})), "at_time"),
        (access.SetGroup(pb.SetGroupRequest()), "name"),
    ):
        refused = await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert list(refused.violations) == [field]


async def test_a_call_runs_no_statement_of_the_directory(lite: ServiceWorld) -> None:
    replica, changes = lite.service.replica, 0
    own = replica.directory._store.change

    async def count(*args: Any) -> Any:
        nonlocal changes
        changes += 1
        return await own(*args)

    replica.directory._store.change = count  # type: ignore[method-assign]
    lite.service._tasks["people"].remove_done_callback(lite.service._part_ended)
    lite.service._tasks["people"].cancel()
    for name in ("ana", "bob"):
        caller = lite.as_user(name)
        await caller.hitl.ListPrompts(hitl.ListPromptsRequest())
        await caller.jobs.GetOverview(jobs.GetOverviewRequest())
        console = lite.console(caller)
        await console.hello()
    assert changes == 0
    await replica.directory.write()
    assert changes == 1
