"""`askback` where people pass prompts on, stand in for each other, and askers reroute."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.interactive import InteractiveProcesses
from tests.support.service import ServiceWorld, serving
from tests.support.shell import CommandResult, Shell
from tests.support.token_files import TokenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        amy={},
        ben={"groups": ["qa"]},
        cat={"groups": ["qa"]},
        root={"roles": ["admin"]},
    )
    async with serving(shared_lite_url, auth=str(people.path)) as running:
        await running.service.replica.directory.write()
        yield running


@pytest.fixture
def run(world: ServiceWorld, tmp_path: Path) -> Iterator[Any]:
    """Runs `askback` as a person; returns the result."""
    shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")

    async def run(name: str, *words: str) -> CommandResult:
        return await shell.run(*words, ASKBACK_TOKEN=f"{name}-token")

    yield run
    shell.end()


async def ask(run: Any, *options: str) -> str:
    """Ask amy. Returns the name of the prompt."""
    asked = await run("root", "ask", "Pay?", "--to", "user:amy", "--no-wait", *options)
    assert asked.code == 0, asked.err
    return f"{asked.out.strip()}/prompt"


async def test_a_prompt_is_passed_on_and_answered_on_behalf_of_its_holder(run: Any) -> None:
    name = await ask(run)
    words = ["inbox", "delegate", name]
    assert "say to whom" in (await run("amy", *words)).err
    given = await run("amy", *words, "--to", "ben", "--comment", "you know them")
    assert (given.code, given.out) == (0, "Delegated to ben: Pay?\n")
    back = given.err.partition("askback ")[2].split()
    assert back[:2] == ["inbox", "return"]
    assert (await run("amy", "inbox", "show", name)).code == 3
    shown = (await run("ben", "inbox", "show", name, "-o", "table")).out
    assert "  you answer  for amy, who delegated it: you know them\n" in shown
    table = (await run("ben", "inbox", "ls", "-o", "table")).out
    assert "FOR" in table
    assert "amy" in table
    assert (await run("ben", "inbox", "return", name, "--comment", "not me")).out == "Given back: Pay?\n"
    unchanged = await run("amy", "inbox", "return", name, "--to", "ben")
    assert unchanged.out == "Not delegated to ben: Pay?\n"
    assert (await run("amy", *words, "--to", "ben")).code == 0
    taken = await run("amy", *back)  # by the whole id: amy does not see it
    assert (taken.code, taken.out) == (0, "Taken back from ben: Pay?\n")
    assert (await run("amy", *words, "--to", "group:qa", "--add")).out == "Delegated to the group qa: Pay?\n"
    seen = (await run("amy", "inbox", "show", name, "-o", "table")).out
    assert "  delegated   amy to the group qa; amy may answer too\n" in seen
    explained = (await run("root", "explain", name.partition("/")[0])).out
    assert "amy delegates it to ben: you know them" in explained
    assert "ben ends a delegation: not me" in explained
    assert "amy delegates it to the group qa, and amy may answer too" in explained
    done = await run("cat", "inbox", "approve", name, "--yes")
    assert (done.code, done.out) == (0, "Approved on behalf of amy: Pay?\n")
    assert "answered by cat on behalf of amy" in (await run("root", "inbox", "show", name)).out
    watched = await run("root", "job", "watch", name.partition("/")[0])
    assert "answered by cat on behalf of amy: ACCEPT" in watched.out + watched.err


async def test_a_refused_delegation_says_why_in_the_words_of_the_server(run: Any) -> None:
    for options, target, why in (
        (["--no-delegation"], "ben", "this prompt cannot be delegated"),
        (["--delegate-to", "audience"], "ben", "within its audience only"),
        (["--delegate-to", "group:qa", "--delegate-to", "user:cat"], "ben", "to these only: cat, qa"),
        ([], "zoe", "the directory has no active person 'zoe'"),
    ):
        refused = await run("amy", "inbox", "delegate", await ask(run, *options), "--to", target)
        assert refused.code == 4
        assert why in refused.err
    shown = (await run("amy", "inbox", "show", await ask(run, "--no-delegation"), "-o", "table")).out
    assert "  delegation  not allowed\n" in shown
    for wrong in (
        ["--no-delegation", "--delegate-to", "user:ben"],
        ["--delegate-to", "audience", "--delegate-to", "user:ben"],
        ["--delegate-to", "ben"],
    ):
        assert (await run("root", "ask", "Pay?", *wrong)).code == 2


async def test_the_asker_reroutes_a_question(run: Any) -> None:
    name = await ask(run, "--deadline", "1h", "--escalate", "30m=group:qa")
    words = ["job", "reroute", name]
    assert "say what to change" in (await run("root", *words)).err
    assert (await run("root", *words, "--to", "cat")).code == 2
    assert (await run("amy", *words, "--to", "user:cat")).code == 8
    moved = await run(
        "root", *words, "--to", "user:cat", "--priority", "2", "--deadline", "5m", "--reason", "amy is ill"
    )
    assert (moved.code, moved.out) == (0, "Rerouted: Pay?\n")
    assert moved.err.startswith("asked user cat; priority 2; deadline in ")
    assert "; escalates in " in moved.err
    stopped = await run("root", *words, "--no-escalation", "--json")
    assert "nextEscalationTime" not in stopped.json
    explained = (await run("root", "explain", name.partition("/")[0])).out
    assert "root reroutes it (asked of user cat; priority 2; 5 min from then): amy is ill" in explained
    assert "root reroutes it (no escalation)" in explained
    assert (await run("cat", "inbox", "approve", name, "--yes")).code == 0


async def test_absences_are_set_listed_and_ended_in_local_time(run: Any) -> None:
    assert "say until when" in (await run("amy", "absence", "set")).err
    day = (datetime.now().astimezone() + timedelta(days=9)).date()
    words = ["absence", "set", "--until", f"{day}", "--substitute", "ben"]
    stored = await run("amy", *words, "--comment", "holidays")
    until = f"{day:%a} {day.day} {day:%b}"
    assert stored.code == 0, stored.err
    assert stored.out.startswith(f"amy is away until {until}")
    assert stored.out.endswith("; ben stands in: holidays\n")
    name = await ask(run)
    shown = (await run("ben", "inbox", "show", name, "-o", "table")).out
    assert f"  you answer  for amy, away until {until}" in shown
    assert "ben stands in" in (await run("root", "explain", name.partition("/")[0])).out
    refused = await run("amy", *words[:-1], "zoe")
    assert (refused.code, "zoe" in refused.err) == (2, True)
    assert (await run("ben", *words, "--person", "cat")).code == 8
    planned = ["--person", "cat", "--from", f"{day}T09:30", "--until", "20d"]
    other = await run("root", "absence", "set", *planned, "--json")
    assert other.json["subject"] == "cat"
    begins = datetime.fromisoformat(other.json["fromTime"]).astimezone()
    assert (begins.date(), begins.hour, begins.minute) == (day, 9, 30)
    listed = (await run("ben", "absence", "ls", "-o", "tsv")).out.splitlines()
    assert [row.split("\t")[0] for row in listed] == ["amy", "cat"]
    mine = (await run("amy", "absence", "ls", "--person", "@me", "-o", "table")).out
    assert "ben" in mine
    absence_id = listed[0].split("\t")[5]
    assert (await run("ben", "absence", "delete", absence_id)).code == 3
    ended = await run("amy", "absence", "delete", absence_id)
    assert (ended.code, ended.out) == (0, "the absence of amy is over\n")
    assert (await run("root", "absence", "delete", other.json["absenceId"])).code == 0
    assert (await run("ben", "absence", "ls")).err == "0 absences\n"
    assert len((await run("ben", "absence", "ls", "--all", "-o", "tsv")).out.splitlines()) == 2


async def test_consoles_show_a_prompt_leave_and_come_back(
    run: Any, world: ServiceWorld, tmp_path: Path
) -> None:
    consoles = InteractiveProcesses(f"127.0.0.1:{world.service.port}", tmp_path)
    asked = await ask(run, "--label", "team=console")
    options = ("console", "--label", "team=console")
    amy, ben = (consoles.start("", *options, ASKBACK_TOKEN=f"{who}-token") for who in ("amy", "ben"))
    try:
        await amy.wait_for("askback> ")
        await ben.wait_for("nothing is open")
        await amy.enter("delegate 1 ben you know them", "1 is delegated to ben; `return` takes it back")
        await ben.wait_for("* 1 new: [confirm] Pay?, for amy, who delegated it: you know them")
        await ben.enter("show 1", "you answer  for amy, who delegated it: you know them")
        await ben.enter("b", "Give it back to amy? [y/N]")
        await ben.enter("y", "Comment (Enter for none):")
        await ben.enter("not me", "1 is given back to amy")
        await amy.wait_for("* 1 new: [confirm] Pay?")
        await amy.enter("delegate 1 ben", "1 is delegated to ben")
        await amy.enter("return 1", "1 is taken back from ben")
        await amy.wait_for("* 1 new: [confirm] Pay?")
        await amy.enter("return 1 zoe", "1 is not delegated to zoe")
        await amy.enter("return 1", "1 was not delegated by you, nor to you by name")
        await amy.enter("delegate 1 zoe", "the directory has no active person 'zoe'")
        await amy.enter("show 1")
        await amy.enter("p", "To whom? (a name, or group:NAME)")
        await amy.enter("group:qa", "Keep your right to answer too? [y/n]")
        await amy.enter("y", "Comment (Enter for none):")
        await amy.enter("", "1 is delegated to the group qa; the first answer counts")
        await run("cat", "inbox", "delegate", asked, "--to", "root", "--add", "--comment", "see this")
        await amy.wait_for("* 1 Pay?: delegated: cat to root, for amy; cat may answer too: see this")
        await amy.enter("also 1 ben", "1 is delegated to ben; the first answer counts")
        await ben.enter("approve 1", "Approved on behalf of amy: Pay?")
        await amy.wait_for("answered by ben on behalf of amy")
        await amy.enter("return 1", "answered by ben on behalf of amy")
    finally:
        consoles.end()
