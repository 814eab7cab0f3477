"""`askback rules`: from a file to an answer, and back from answers to a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people = TokenFile(
        tmp_path_factory.mktemp("tokens") / "tokens.toml",
        pia={"roles": ["console", "policy"]},
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
    assert (await run("pia", "rules", "show", "no such rule")).code == 3
    assert (await run("root", "rules", "ls")).code == 0


async def test_the_log_and_the_prompt_name_the_rule(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    file.write_text(RULE.replace('"ls"', '"df"').replace("list files", "disk space"), encoding="utf-8")
    rule = json.loads((await run("pia", "rules", "create", str(file), "--json")).out)["ruleId"]
    asked = await run("root", "ask", "Run df?", "--label", "tool=df", "--no-wait", "-o", "table")
    job = asked.out.split()[0]
    log = (await run("root", "job", "watch", job, "-o", "table")).out
    assert f"answered by rule {rule}@1" in log
    shown = (await run("pia", "inbox", "show", f"{job}/prompt", "-o", "table")).out
    assert f"by pia (rule {rule}@1)" in shown
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
