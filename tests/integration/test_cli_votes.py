"""`askback` where several people approve, and some may not: ask, inbox, console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
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
        amy={"groups": ["release"]},
        ben={},
        cat={},
        root={"roles": ["admin"]},
    )
    async with serving(shared_lite_url, auth=str(people.path), allow_override="*") as running:
        yield running


@pytest.fixture
def run(world: ServiceWorld, tmp_path: Path) -> Iterator[Any]:
    """Runs `askback` as a person; returns the result."""
    shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")

    async def run(name: str, *words: str) -> CommandResult:
        return await shell.run(*words, ASKBACK_TOKEN=f"{name}-token")

    yield run
    shell.end()


async def ask(run: Any, tmp_path: Path, *options: str) -> str:
    """Ask about a plan that may be edited. Returns the name of the prompt."""
    (tmp_path / "plan.md").write_text("Blue first.\n")
    (tmp_path / "other.md").write_text("Green first.\n")
    words = ["ask", "Release 1.4?", "--contents", "plan.md", "--editable", "--no-wait", *options]
    return f"{(await run('root', *words)).out.strip()}/prompt"


async def test_people_vote_for_a_proposal_until_the_last_one_that_is_needed(run: Any, tmp_path: Path) -> None:
    name = await ask(run, tmp_path, "--approvals", "2", "--group-approval", "release=1", "--reject-at", "2")
    first = await run("ben", "inbox", "answer", name, "--edit", "plan.md=@other.md")
    assert (first.code, first.out) == (
        0,
        "Recorded: your vote on Release 1.4?; 1 more needed (1 of release)\n",
    )
    assert (await run("cat", "inbox", "answer", name, "--like", "zoe")).code == 2
    second = await run("cat", "inbox", "answer", name, "--like", "ben", "--json")
    assert (second.code, second.json["status"]) == (0, "RECORDED")
    table = (await run("amy", "inbox", "ls", "-o", "table")).out.splitlines()
    assert "2/2, 1 more" in table[-1]
    shown = (await run("cat", "inbox", "show", name, "-o", "table")).out
    assert "  approval    2 people must approve, 1 of release; 2 rejections reject it\n" in shown
    assert (
        "  votes       2 of 2 approve the changes of ben: ben, cat; 1 more needed (1 of release)\n" in shown
    )
    assert "  your vote   edit; another answer replaces it\n" in shown
    assert "+Green first." in shown
    assert "cat approves with changes like ben" in shown
    gone = await run("cat", "inbox", "withdraw", name)
    assert (gone.code, gone.out) == (0, "Withdrawn: your vote on Release 1.4?\n")
    assert (await run("cat", "inbox", "withdraw", name)).code == 3
    explained = (await run("root", "explain", name.partition("/")[0])).out
    assert "ben voted 'yes, with changes'" in explained
    assert "cat withdraws a vote" in explained
    assert "nothing waits for you" in (await run("ben", "inbox", "next")).out
    last = await run("amy", "inbox", "answer", name, "--like", "ben")
    assert (last.code, last.out) == (0, "Approved with changes: Release 1.4?\n")
    assert (await run("ben", "inbox", "withdraw", name)).code == 4


async def test_an_excluded_person_is_told_and_an_admin_may_override(run: Any, tmp_path: Path) -> None:
    name = await ask(run, tmp_path, "--exclude-requester", "--exclude", "group:release")
    for person in ("root", "amy"):
        assert "not you" in (await run(person, "inbox", "ls", "-o", "table")).out
        assert "! note      you may not answer this" in (await run(person, "inbox", "show", name)).out
        refused = await run(person, "inbox", "approve", name, "--yes")
        assert (refused.code, refused.out[:25]) == (8, "this prompt excludes you ")
    assert "nothing waits for you" in (await run("amy", "inbox", "next")).out
    assert "not you" not in (await run("ben", "inbox", "ls", "-o", "table")).out
    words = ["inbox", "override", name, "--decision", "accept", "--comment", "incident 4711"]
    assert (await run("root", *words)).code == 2  # neither read nor --yes
    assert (await run("ben", *words, "--yes")).code == 8
    done = await run("root", *words, "--yes")
    assert (done.code, done.out) == (0, "Approved (override): Release 1.4?\n")
    assert "marked as an override" in done.err
    assert "answered by root (override)" in (await run("ben", "inbox", "show", name)).out


async def test_people_approve_a_choice_and_the_values_of_a_form_together(run: Any, tmp_path: Path) -> None:
    (tmp_path / "form.json").write_text('{"type": "object", "properties": {"n": {"type": "integer"}}}')
    for shape, given, values in (
        (["--choice", "blue,green"], ["value=blue"], '{"value":"blue"}'),
        (["--form", "form.json", "--kind", "refund"], ["n=3"], '{"n":3}'),
    ):
        options = [*shape, "--approvals", "2", "--deadline", "1h", "--default", "no", "--no-wait"]
        name = f"{(await run('root', 'ask', 'Which?', *options)).out.strip()}/prompt"
        first = await run("ben", "inbox", "answer", name, *given)
        assert (first.code, first.out) == (0, "Recorded: your vote on Which?; 1 more needed\n")
        last = await run("cat", "inbox", "answer", name, "--values", values)
        assert (last.code, last.out) == (0, "Approved: Which?\n")


async def test_the_asker_is_told_that_too_few_approvers_are_known(run: Any) -> None:
    words = ["ask", "Go?", "--group-approval", "misspelt=2", "--deadline", "1s"]
    done = await run("root", *words)
    assert done.code == 6
    assert "! it needs 2 of misspelt, and the directory knows 0 who may approve\n" in done.err
    assert "  2 people must approve, 2 of misspelt\n" in done.err


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--exclude", "amy"], "--to, --exclude, --escalate and --delegate-to take"),
        (["--group-approval", "release"], "'release' is not GROUP=N"),
        (["--hide-from-excluded"], "--hide-from-excluded needs --exclude"),
        (
            ["--choice", "a,b", "--approvals", "2", "--deadline", "1h", "--default", "a"],
            "--default can only be no where people must approve",
        ),
        (["--reject-at", "2", "--deadline", "1h", "--default", "yes"], "--default can only be no"),
    ],
)
async def test_wrong_options_of_ask_are_explained(run: Any, options: list[str], wrong: str) -> None:
    refused = await run("root", "ask", "Go?", *options)
    assert refused.code == 2
    assert wrong in refused.err


async def test_a_console_shows_votes_as_they_come(run: Any, world: ServiceWorld, tmp_path: Path) -> None:
    name = await ask(run, tmp_path, "--approvals", "3", "--exclude", "user:root")
    consoles = InteractiveProcesses(f"127.0.0.1:{world.service.port}", tmp_path)
    ben, root = (consoles.start("", "console", ASKBACK_TOKEN=f"{who}-token") for who in ("ben", "root"))
    try:
        await ben.wait_for("askback> ")
        await ben.enter("1", "0 of 3 approve; 3 more needed")
        await run("cat", "inbox", "answer", name, "--edit", "plan.md=@other.md")
        await ben.wait_for(
            "* 1 cat approves with changes: Release 1.4? (1 of 3 approve the changes of cat: cat;"
        )
        await ben.enter("agree 1 cat", "Vote like cat?")  # it was not on the screen
        assert "+Green first." in ben.raw
        await ben.enter("y", "Recorded: your vote on Release 1.4?; 1 more needed")
        await ben.enter("withdraw 1", "your vote on 1 is withdrawn")
        await ben.enter("agree", "Vote like cat?")
        await ben.enter("n", "1 is left as it is")
        await root.wait_for("not you")
        await root.enter("approve 1", "you may not answer this prompt: it excludes user:root")
        await root.enter("override 1", "Why? ")
        await root.enter("they are away", "Decide: ")
        await root.enter("a", "Approve? [y/N]")
        await root.enter("y", "Approved (override): Release 1.4?")
        await ben.wait_for("answered by root (override)")
    finally:
        consoles.end()
