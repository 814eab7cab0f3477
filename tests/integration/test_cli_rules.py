"""`askback rules`: from a file to an answer, and back from answers to a file."""

from __future__ import annotations

import json
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

RULE = """
name = "list files"
reason = "it only reads"

[match]
kinds = ["confirm"]
expression = 'prompt.labels.tool == "ls"'

[answer]
decision = "ACCEPT"
comment = "as always"

[[matching]]
content = { kind = "confirm", title = "Run ls?", labels = { tool = "ls" } }

[[not_matching]]
content = { kind = "confirm", title = "Run rm?", labels = { tool = "rm" } }
"""
ROUTE = """[route]
audience = { users = ["pia", "rob"] }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        pia={"roles": ["console", "policy"]},
        rob={},
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


async def test_a_rule_of_a_file_answers_until_it_is_switched_off(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    file.write_text(RULE, encoding="utf-8")
    checked = await run("pia", "rules", "create", str(file), "--check", "-o", "table")
    assert (checked.code, checked.err) == (0, "checked; nothing was created\n")
    made = await run("pia", "rules", "create", str(file), "--uses", "5", "-o", "table")
    assert (made.code, made.out) == (0, "list files is active: revision 1 by pia\n")
    ask = ["ask", "Run ls?", "--label", "tool=ls", "-o", "table"]
    asked = await run("root", *ask)
    assert asked.code == 0, asked.err
    assert "by pia (rule " in asked.out + asked.err
    assert "answers ACCEPT: as always" in (await run("pia", "rules", "ls", "-o", "table")).out
    shown = (await run("pia", "rules", "show", "list files", "-o", "table")).out
    assert "1 of 5" in shown
    assert 'kind confirm; prompt.labels.tool == "ls"' in shown
    off = await run("pia", "rules", "off", "list files", "-o", "table")
    assert off.out == "list files is off: revision 1 by pia\n"
    waiting = await run("root", *ask, "--no-wait")
    assert waiting.code == 0
    spec = json.loads((await run("pia", "rules", "show", "list files", "--json")).out)["spec"]
    again = tmp_path / "rule.json"
    again.write_text(json.dumps(spec), encoding="utf-8")
    edited = await run("pia", "rules", "edit", "list files", str(again), "--reason", "still", "-o", "table")
    assert edited.out == "list files is active: revision 2 by pia\n", edited.err
    gone = await run("pia", "rules", "delete", "list files", "-o", "table")
    assert gone.out == "list files is deleted\n"
    assert "deleted" in (await run("pia", "rules", "show", "list files")).out
    assert (await run("pia", "rules", "create", str(file))).code == 0
    assert "active" in (await run("pia", "rules", "show", "list files")).out  # not the deleted one
    assert (await run("pia", "rules", "delete", "list files")).code == 0
    assert (await run("pia", "rules", "show", "no such rule")).code == 3
    assert (await run("root", "rules", "ls")).code == 0


async def test_the_log_and_the_prompt_name_the_rule(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    file.write_text(RULE.replace('"ls"', '"df"').replace("list files", "disk space"), encoding="utf-8")
    rule = json.loads((await run("pia", "rules", "create", str(file), "--json")).out)["ruleId"]
    asked = await run("root", "ask", "Run df?", "--label", "tool=df", "--no-wait", "-o", "table")
    job = asked.out.split()[0]
    assert asked.err.startswith(f"asked no one: a rule of pia answered (job {job})\n")
    to_see_it = asked.err.rpartition("askback ")[2].split()
    assert to_see_it[:3] == ["rules", "show", rule]
    assert "disk space" in (await run("pia", *to_see_it)).out
    assert "disk space" in (await run("pia", "rules", "show", f"{rule}@1")).out
    log = (await run("root", "job", "watch", job, "-o", "table")).out
    assert f"answered by rule {rule}@1" in log
    assert "question 1 answered by pia (by rule): ACCEPT" in log
    by_rule = f"by pia (rule {rule}@1)"
    for words in [
        ["inbox", "show", f"{job}/prompt", "-o", "table"],
        ["inbox", "show", f"{job}/prompt", "--answers", "-o", "table"],
        ["job", "show", job, "-o", "table"],
    ]:
        assert by_rule in (await run("root", *words)).out, words
    closed = (await run("pia", "inbox", "ls", "--closed", "-o", "table")).out
    assert "pia (by rule)" in closed
    await run("pia", "rules", "delete", rule)


async def test_an_asker_is_told_of_a_route_and_of_a_vote_by_a_rule(run: Any, tmp_path: Path) -> None:
    file, made = tmp_path / "rule.toml", []
    route = RULE.replace('[answer]\ndecision = "ACCEPT"\ncomment = "as always"', ROUTE)
    for text in [RULE, route]:
        file.write_text(text.replace('"ls"', '"mv"').replace("list files", "move"), encoding="utf-8")
        made.append(json.loads((await run("pia", "rules", "create", str(file), "--json")).out)["ruleId"])
    answers, routes = (f"{rule}@1" for rule in made)
    asking = ["ask", "Run mv?", "--label", "tool=mv", "--approvals", "2"]
    asked = await run("root", *asking, "--deadline", "200ms")
    assert asked.code == 6
    assert "asked user pia, user rob (job " in asked.err
    assert f"asks people; rules {answers}; routed by {routes} ({answers}: several people" in asked.err
    filled = await run("root", *asking, "--rules-may-fill", "1", "--no-wait")
    job = filled.out.split()[0]
    shown = (await run("pia", "inbox", "show", f"{job}/prompt", "-o", "table")).out
    assert f"  routed      by rules; `askback explain {job[-8:]}` names them" in shown
    assert "2 people must approve; rules may give 1 of them" in shown
    assert "1 of 2 approve: pia (by rule); 1 more needed" in shown
    assert f"- pia (rule {answers}) approves" in shown
    explained = (await run("root", "explain", job[-8:])).out
    assert f"pia (rule {answers}) voted 'yes'" in explained
    assert f"answered by rule {answers}; routed by {routes}" in explained
    for rule in made:
        await run("pia", "rules", "delete", rule)


async def test_a_draft_of_an_answer_is_previewed_and_adopted(run: Any, tmp_path: Path) -> None:
    asked = await run("root", "ask", "Run du?", "--label", "tool=du", "--no-wait", "-o", "table")
    name = f"{asked.out.split()[0]}/prompt"
    assert (await run("pia", "inbox", "approve", name, "--yes")).code == 0
    draft = await run("pia", "rules", "suggest", name, "-o", "table")
    assert draft.code == 0, draft.err
    assert "people decided 1 so (pia), 0 otherwise" in draft.err
    file = tmp_path / "always.json"
    file.write_text(draft.out, encoding="utf-8")
    preview = await run("pia", "rules", "preview", str(file), "-o", "tsv")
    assert "ANSWER\tACCEPT\t1\n" in preview.out
    made = await run("pia", "rules", "create", str(file), "--reason", "it only reads", "--name", "du")
    assert made.code == 0, made.err
    again = await run("root", "ask", "Run du?", "--label", "tool=du")
    assert again.code == 0
    assert (await run("pia", "rules", "delete", "du")).code == 0


async def test_a_file_that_is_wrong_is_explained(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    for text, message in [
        ("name =", "the file is neither TOML nor JSON"),
        ('{"name": ', "the file is not JSON"),
        ('nam = "x"', "the file: a rule has no field 'nam'"),
        ("[answer]\ndecision = 'MAYBE'", "answer.decision: 'MAYBE' is not one of"),
        (RULE.replace('{ tool = "rm" }', '{ tool = "ls" }'), "not_matching"),
    ]:
        file.write_text(text, encoding="utf-8")
        wrong = await run("pia", "rules", "create", str(file))
        assert wrong.code == 2, text
        assert message in wrong.err


async def test_a_console_makes_a_rule_of_an_answer_and_deletes_it(
    run: Any, world: ServiceWorld, tmp_path: Path
) -> None:
    consoles = InteractiveProcesses(f"127.0.0.1:{world.service.port}", tmp_path)
    asking = ["ask", "Run cp?", "--label", "tool=cp"]
    assert (await run("root", *asking, "--no-wait")).code == 0
    pia, rob = (
        consoles.start("", "console", "--label", "tool=cp", ASKBACK_TOKEN=f"{who}-token")
        for who in ("pia", "rob")
    )
    try:
        await pia.wait_for("askback> ")
        await rob.wait_for("askback> ")
        await rob.enter("always 1", "! you may not make rules: that needs the role policy")
        await pia.enter("always 1", "! no rule can be made of 1: it is a prompt that no person has answered")
        await pia.enter("show 1", "Run cp?")
        await pia.enter("approve 1", "always so? `!` makes a rule of it")
        shown = await pia.enter("!", "Why always so? (Enter: make no rule)")
        for words in [
            "A rule for questions like this one",
            "kind confirm; jobs askback.ask; tool=cp; prompt.title ==",
            "answers ACCEPT",
            "1 decided so (pia)",
            "pia: yours, and only what you could answer alone",
            "until ",
        ]:
            assert words in " ".join(shown.split()), words
        await pia.enter("", "no rule was made")
        await pia.enter("always 1", "Why always so?")
        await pia.enter("it copies files", "How often at most? (Enter: no limit)")
        await pia.enter("often", "! type a number from 1, or nothing")
        await pia.enter("2", "answers such questions from now on, until ")
        await pia.wait_for("to undo: `!` again, or askback rules delete ")
        again = await run("root", *asking)
        assert (again.code, "by pia (rule " in again.out) == (0, True)
        [made] = [
            rule
            for line in (await run("pia", "rules", "ls", "--json")).out.splitlines()
            if (rule := json.loads(line))["state"] == "ACTIVE"
        ]
        assert made["ruleId"] in pia.shown
        assert (made["spec"]["reason"], int(made["spec"]["maxUses"])) == ("it copies files", 2)
        await pia.enter("always 1", "Delete the rule made of 1? [y/N]")
        await pia.enter("y", f"rule {made['ruleId']} is deleted; what it has answered stays")
        await pia.enter("!", "Why always so?")
        await pia.enter("", "no rule was made")
    finally:
        consoles.end()
