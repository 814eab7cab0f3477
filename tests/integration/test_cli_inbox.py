"""`askback inbox` against a real service: the sentence and exit code of every outcome."""

import json
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.forms import SHAPES
from tests.support.requests import ACCEPT, REJECT, answer, audience, confirm, form, seconds
from tests.support.service import ServiceWorld
from tests.support.shell import Shell
from tests.support.streams import ABSENT_ID


async def _answers(world: ServiceWorld, prompt_id: str) -> list[prompts.AnswerRecord]:
    return list((await world.hitl.ListAnswers(hitl.ListAnswersRequest(prompt_id=prompt_id))).answers)


async def test_inbox_ls_sorts_and_filters_the_queue(lite: ServiceWorld, shell: Shell) -> None:
    """Sorted by priority, deadline and age; without prompts for others; narrowed by filters."""
    old = await lite.create_prompt(confirm("Old"))
    soon = await lite.create_prompt(confirm("Soon", timeout=seconds(3_600)))
    high = await lite.create_prompt(confirm("High \x1b[2J", priority=9, labels={"env": "prod"}))
    mine = await lite.create_prompt(form("For the desk", audience=audience(groups=["desk"])))
    await lite.create_prompt(confirm("For bob", audience=audience("bob")))
    await lite.as_user("cy").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=old.prompt_id))
    listed = await shell.ok("inbox", "ls", "--group", "desk")
    rows = [line.split("\t") for line in listed.out.splitlines()]
    assert [row[2] for row in rows] == ["High <U+001B>[2J", "Soon", "Old", "For the desk"]
    assert [row[3] for row in rows] == [p.prompt_id for p in (high, soon, old, mine)]
    assert rows[1][0] == f"{soon.expire_time.ToDatetime():%Y-%m-%dT%H:%M:%SZ}"
    assert rows[0][5:] == [
        f"{high.create_time.ToDatetime():%Y-%m-%dT%H:%M:%SZ}",
        "t",
        "9",
        "open",
        high.job_id,
        "",
        "",
    ]
    assert [row[4] for row in rows] == ["", "", "cy", ""]
    table = (await shell.ok("inbox", "ls", "--group", "desk", "-o", "table", COLUMNS="80")).out.splitlines()
    assert [name for name in table[0].split() if name != "AGE"] == [
        "LEFT",
        "KIND",
        "TITLE",
        "ID",
        "CLAIMED",
        "PRIO",
    ]
    assert table[2].split()[0] in ("1", "59")  # "1 h" or "59 min"
    assert table[1].endswith(" 9")
    assert "  cy" in table[3]
    assert listed.err.startswith("4 open")
    ids = [line["promptId"] for line in (await shell.ok("inbox", "ls", "--json", "--group", "desk")).lines]
    assert ids == [high.prompt_id, soon.prompt_id, old.prompt_id, mine.prompt_id]
    for options, wanted in (
        (["--kind", "clarify"], [mine.prompt_id]),
        (["--label", "env=prod"], [high.prompt_id]),
        (["--for-group", "desk"], [mine.prompt_id]),
        (["--job", soon.job_id], [soon.prompt_id]),
        (["--type", "nothing"], []),
        (["--limit", "1"], [high.prompt_id]),
        (["--state", "answered"], []),
    ):
        narrowed = await shell.ok("inbox", "ls", "--json", "--group", "desk", *options)
        assert [line["promptId"] for line in narrowed.lines] == wanted, options
    cut = await shell.ok("inbox", "ls", "--limit", "1")
    assert cut.err.startswith("3 open, 1 shown; --limit 0 lists all")


async def test_inbox_ls_lists_all_pages(lite: ServiceWorld, shell: Shell) -> None:
    """Prompts of several pages are all listed, each once."""
    asked = {(await lite.create_prompt(confirm(f"{n}", body="y" * 9_000))).prompt_id for n in range(130)}
    listed = await shell.ok("inbox", "ls", "--limit", "0", "--json")
    ids = [line["promptId"] for line in listed.lines]
    assert len(ids) == 130
    assert set(ids) == asked
    part = await shell.ok("inbox", "ls", "--limit", "120", "--json")
    assert [line["promptId"] for line in part.lines] == ids[:120]


async def test_inbox_ls_watch_prints_changes(lite: ServiceWorld, shell: Shell) -> None:
    first = await lite.create_prompt(confirm("First"))
    for options in ([], ["--json"]):
        watching = await shell.start("inbox", "ls", "--watch", *options)
        await watching.wait_for_line("caughtUp" if options else "First")
        second = await lite.create_prompt(confirm("Second"))
        await watching.wait_for_line(second.prompt_id)
        await lite.as_user("bob").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=second.prompt_id))
        claimed = await watching.wait_for_line(second.prompt_id)
        await lite.as_user("bob").hitl.AnswerPrompt(answer(second, decision=REJECT))
        ended = await watching.wait_for_line(second.prompt_id)
        if options:
            assert json.loads(claimed)["prompt"]["claimedBy"] == "bob"
            assert json.loads(ended) == {
                "event": "closed",
                "promptId": second.prompt_id,
                "jobId": second.job_id,
                "state": "ANSWERED",
                "actor": "bob",
                "reason": "",
                "by": "bob",
                "decision": "REJECT",
            }
        else:
            assert claimed.split("\t")[:4] == ["changed", "", "confirm", "Second"]
            assert claimed.split("\t")[5] == "bob"
            assert ended.split("\t")[0] == "closed"
            assert ended.split("\t")[9] == "answered"
            assert ended.rstrip("\n").split("\t")[11:] == [ended.split("\t")[11], "bob"]
            assert ended.split("\t")[11].endswith("Z")
        watching.kill()
    assert first.prompt_id


async def test_inbox_show_prints_prompts_in_any_state_with_their_audit(
    lite: ServiceWorld, shell: Shell
) -> None:
    """By id or JOB/KEY. The audit includes refused answers, even one with invalid JSON."""
    prompt = await lite.create_prompt(form("How many?"))
    name = f"{prompt.job_id}/{prompt.key}"
    for number, values in enumerate(('{"n": "x"}', "no json")):
        wrong = answer(prompt, f"w-{number}", prompts.DECISION_RESPOND, values_json=values)
        with pytest.raises(Exception, match="refused"):
            await lite.hitl.AnswerPrompt(wrong)
    await lite.hitl.AnswerPrompt(answer(prompt, "good", prompts.DECISION_RESPOND, values_json='{"n": 3}'))
    shown = await shell.ok("inbox", "show", name, "--answers")
    for words in (
        "[clarify] How many?",
        "answered by ada",
        "Submissions: 3",
        "INVALID: RESPOND by ada",
        "! n: must be an integer",
        "values   no json",
        "ACCEPTED: RESPOND by ada",
    ):
        assert words in shown.out, words
    record = (await shell.ok("inbox", "show", prompt.prompt_id, "--answers", "--json")).json
    assert [a["status"] for a in record["answers"]] == ["INVALID", "INVALID", "ACCEPTED"]
    assert record["answers"][0]["violations"][0]["field"] == "values_json/n"
    assert record["answers"][1]["answer"]["valuesJson"] == "no json"
    assert record["answers"][2]["answer"]["values"] == {"n": 3}
    assert (await shell.ok("inbox", "show", name, "--json")).json["promptId"] == prompt.prompt_id
    for missing in (ABSENT_ID, f"{prompt.job_id}/other"):
        assert (await shell.run("inbox", "show", missing)).code == 3


async def test_inbox_answer_takes_values_as_options(lite: ServiceWorld, shell: Shell) -> None:
    prompt = await lite.create_prompt(form())
    refused = await shell.run("inbox", "answer", prompt.prompt_id, "--values", '{"why": 3}')
    assert refused.code == 2
    assert "INVALID: the answer was refused, and the prompt stays open" in refused.err
    assert "\n  n: is required" in refused.err
    assert "\n  why: must be text" in refused.err
    (shell.home / "values.json").write_text('{"n": 1, "why": "file"}')
    words = ("inbox", "answer", prompt.prompt_id, "n=3", "--values", "@values.json", "--comment", "c")
    taken = await shell.ok(*words, "--answer-id", "mine")
    assert taken.out == "Answered: Which?\n"
    (_, stored) = await _answers(lite, prompt.prompt_id)
    assert json.loads(stored.answer.values_json) == {"n": 3, "why": "file"}
    assert (stored.answer.comment, stored.answer.answer_id, stored.answer.revision) == ("c", "mine", 1)
    again = await shell.ok(*words, "--answer-id", "mine", "--json")
    assert (again.json["status"], again.json["replayed"]) == ("ACCEPTED", True)
    other = await shell.run("inbox", "answer", prompt.prompt_id, "n=4", "--answer-id", "mine")
    assert other.code == 4  # used before, with other content
    piped = await lite.create_prompt(form())
    given = ["inbox", "answer", piped.prompt_id, "--values", "-"]
    assert (await shell.run(*given, stdin=b'{"n": 9}')).code == 0


async def test_inbox_answer_takes_fields_that_depend_on_a_condition(lite: ServiceWorld, shell: Shell) -> None:
    shape = next(shape for shape in SHAPES if shape["name"] == "conditional")
    content = confirm("Why?", kind="clarify", schema_json=json.dumps(shape["schema"]))
    prompt = await lite.create_prompt(content)
    shown = await shell.ok("inbox", "show", prompt.prompt_id)
    assert "- note  What else? [at least 3 characters; only for some answers]" in shown.out
    missing = await shell.run("inbox", "answer", prompt.prompt_id, "reason=other")
    assert missing.code == 2
    assert "note: is required" in missing.err
    await shell.ok("inbox", "answer", prompt.prompt_id, "reason=other", "note=wet")
    (_, stored) = await _answers(lite, prompt.prompt_id)
    assert json.loads(stored.answer.values_json) == {"reason": "other", "note": "wet"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what: --decision (one of respond, dismiss)"),
        ([], "--edit; its fields: n, why"),
        (["m=1"], "no field 'm'; its fields: n, why"),
        (["n"], "not FIELD=VALUE"),
        (["n=x"], "n: must be a whole number"),
        (["--values", "[]"], "a JSON object is wanted"),
        (["--values", "{"], "--values is not JSON"),
        (["--values", "@nowhere"], "nowhere"),
        (["--edit", "notes"], "not CONTENT=@FILE"),
        (["--decision", "perhaps"], "perhaps"),
    ],
)
async def test_an_impossible_answer_is_not_sent(
    shared_lite: ServiceWorld, shared_shell: Shell, words: list[str], said: str
) -> None:
    prompt = await shared_lite.create_prompt(form())
    done = await shared_shell.run("inbox", "answer", prompt.prompt_id, *words)
    assert done.code == 2, done
    assert said in done.err
    assert await _answers(shared_lite, prompt.prompt_id) == []


async def test_inbox_answer_sends_edits(lite: ServiceWorld, shell: Shell) -> None:
    part = prompts.PromptPart(content_id="notes", title="Notes", text="old", editable=True)
    prompt = await lite.create_prompt(confirm("Right?", kind="preview", contents=[part]))
    (shell.home / "notes.md").write_text("new\n")
    await shell.ok("inbox", "answer", prompt.prompt_id, "--edit", "notes=@notes.md")
    (stored,) = await _answers(lite, prompt.prompt_id)
    assert stored.answer.decision == prompts.DECISION_EDIT
    assert [(e.content_id, e.text) for e in stored.answer.edits] == [("notes", "new\n")]


async def test_inbox_answer_reports_the_winner_to_the_loser(lite: ServiceWorld, shell: Shell) -> None:
    """Exit code 4 with the winner and the time, as text and as JSON."""
    prompt = await lite.create_prompt()
    await lite.as_user("bob").hitl.AnswerPrompt(answer(prompt, decision=REJECT))
    late = await shell.run("inbox", "answer", prompt.prompt_id, "--decision", "accept")
    assert late.code == 4
    assert "CLOSED: answered by bob" in late.err
    assert "): REJECT; your answer came too late" in late.err
    record = json.loads(
        (await shell.run("inbox", "answer", prompt.prompt_id, "--decision", "accept", "--json")).err
    )
    assert (record["error"]["status"], record["error"]["exit"]) == ("CLOSED", 4)
    assert record["error"]["prompt"]["resolution"]["answer"]["userId"] == "bob"


async def test_each_refusal_of_an_answer_has_its_exit_code(lite: ServiceWorld, shell: Shell) -> None:
    lease = await lite.lease_new_job()
    asked = await lite.ask(lease, "k", confirm("First wording"))
    await lite.amend(lease, "k", "Second wording")
    stale = await shell.run("inbox", "answer", asked.prompt_id, "--decision", "accept", "--revision", "1")
    assert stale.code == 4
    assert "STALE: the question changed after you saw it; it is at revision 2 now" in stale.err
    await lite.as_user("bob").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=asked.prompt_id))
    claimed = await shell.run("inbox", "answer", asked.prompt_id, "--decision", "accept")
    assert claimed.code == 4
    assert "CLAIMED: bob has taken it on" in claimed.err
    short = await lite.create_prompt(confirm("Quick!", timeout=seconds(0.1)))
    await lite.state(short.job_id, 4)
    late = await shell.run("inbox", "answer", short.prompt_id, "--decision", "accept")
    assert late.code == 6
    assert "CLOSED: expired unanswered" in late.err
    assert (await shell.run("inbox", "answer", ABSENT_ID, "--decision", "accept")).code == 3
    away = await shell.run(
        "inbox", "ls", "--server", "127.0.0.1:1", "--timeout", "0.3s", "--json"
    )  # nothing listens on port 1
    assert away.code == 7


async def test_approve_and_reject_answer_each_named_prompt(lite: ServiceWorld, shell: Shell) -> None:
    """One result for each. A failure does not stop the others and sets the exit code."""
    first, second, third = [await lite.create_prompt() for _ in range(3)]
    await lite.as_user("bob").hitl.AnswerPrompt(answer(second))
    words = ["inbox", "approve", first.prompt_id, second.prompt_id, ABSENT_ID, first.prompt_id]
    done = await shell.run(*words, "--yes", "--comment", "fine")
    assert done.code == 4
    one, two, three = done.out.splitlines()
    assert one == f"{first.prompt_id}  Approved: Go on?"
    assert two.startswith(f"{second.prompt_id}  CLOSED: answered by bob")
    assert three.startswith(f"{ABSENT_ID}  ")
    (stored,) = await _answers(lite, first.prompt_id)
    assert (stored.answer.comment, stored.answer.user_id) == ("fine", "ana")
    old = await shell.run("inbox", "reject", third.prompt_id, "--revision", "7", "--json")
    assert (old.code, old.json["status"], old.json["name"]) == (4, "STALE", third.prompt_id)
    no = await shell.ok("inbox", "reject", third.prompt_id, "--revision", "1", "--json")
    assert no.json["prompt"]["resolution"]["answer"]["decision"] == "REJECT"
    dismissed = await lite.create_prompt(form())
    await shell.ok("inbox", "reject", dismissed.prompt_id, "--yes")
    assert (await lite.prompt(dismissed.prompt_id)).resolution.answer.decision == prompts.DECISION_DISMISS


async def test_words_in_place_of_a_prompt_are_refused_before_anything_is_decided(
    lite: ServiceWorld, shell: Shell
) -> None:
    """`reject ID "too late"`: the reason is not taken as a second prompt."""
    prompt = await lite.create_prompt(confirm())
    done = await shell.run("inbox", "reject", prompt.prompt_id, "too late", "--yes")
    assert done.code == 2
    assert "'too late' does not name a prompt; what you say goes into --comment" in done.err
    assert (await lite.prompt(prompt.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    await shell.ok("inbox", "reject", prompt.prompt_id, "--reason", "too late", "--yes")
    assert (await lite.prompt(prompt.prompt_id)).resolution.answer.comment == "too late"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("options", [[], ["--json"], ["--comment", "ok"]])
@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_answering_without_a_terminal_requires_yes_or_revision(
    shared_lite: ServiceWorld, shared_shell: Shell, verb: str, options: list[str]
) -> None:
    prompt = await shared_lite.create_prompt()
    done = await shared_shell.run("inbox", verb, prompt.prompt_id, *options, stdin=b"y\ny\n")
    assert done.code == 2
    assert "--yes or --revision" in done.err
    assert (await shared_lite.prompt(prompt.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    assert (await shared_shell.run("inbox", verb, "--yes")).code == 2  # never "all of them"
    two = [prompt.prompt_id, ABSENT_ID]
    assert (await shared_shell.run("inbox", verb, *two, "--revision", "1")).code == 2


async def test_inbox_next_answers_one_prompt_after_the_other(lite: ServiceWorld, shell: Shell) -> None:
    """The most urgent prompt first, without those claimed by others. Skipped ones are released."""
    low = await lite.create_prompt(confirm("Low"))
    high = await lite.create_prompt(confirm("High", priority=9))
    taken = await lite.create_prompt(confirm("Taken", priority=99))
    await lite.as_user("bob").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=taken.prompt_id))
    done = await shell.run("inbox", "next", stdin=b"c well done\na\ny\ns\n")
    assert done.code == 0, done
    assert "Taken" not in done.out
    assert done.out.index("High") < done.out.index("Low")
    assert "nothing more waits for you" in done.out
    assert done.err == "1 answered, 1 skipped and still open\n"
    closed: Any = await lite.prompt(high.prompt_id)
    assert (closed.resolution.answer.decision, closed.resolution.answer.comment) == (ACCEPT, "well done")
    assert (await lite.prompt(low.prompt_id)).claimed_by == ""


async def test_inbox_next_claims_while_the_person_reads(lite: ServiceWorld, shell: Shell) -> None:
    """It releases the claim when the input ends."""
    prompt = await lite.create_prompt(confirm("Only"))
    running = await shell.start("inbox", "next")
    await running.result()
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == ""
    assert (await shell.ok("inbox", "next", "--kind", "other")).out == "nothing waits for you\n"


async def test_completed_prompt_ids_show_titles(lite: ServiceWorld, shell: Shell) -> None:
    prompt = await lite.create_prompt(confirm("Deploy\x1b[2J 1.4?"))
    line = {"COMP_WORDS": f"askback inbox answer {prompt.prompt_id[:4]}", "COMP_CWORD": "3"}
    found = await shell.ok(_ASKBACK_COMPLETE="zsh_complete", **line)
    assert found.out == f"plain\n{prompt.prompt_id}\n[confirm] Deploy<U+001B>[2J 1.4?\n"
    other = {**line, "COMP_WORDS": "askback inbox answer zzz"}
    assert (await shell.ok(_ASKBACK_COMPLETE="zsh_complete", **other)).out.strip() == ""


async def test_prompts_named_together_are_one_batch(lite: ServiceWorld, shell: Shell) -> None:
    """One decision for all, whichever names they have; the words and records are those of single answers."""
    asked = [
        await lite.create_prompt(confirm(f"Refund {n}?", group_key="refunds \x1b[2J" * (n < 3)))
        for n in range(4)
    ]
    dismissible = await lite.create_prompt(form())
    table = (await shell.ok("inbox", "ls", "-o", "table", COLUMNS="120")).out.splitlines()
    assert "GROUP-KEY" in table[0].split()
    assert "refunds <U+001B" in table[1]
    key = asked[0].content.group_key
    listed = await shell.ok("inbox", "ls", "--group-key", key, "--limit", "2")
    assert len(listed.out.splitlines()) == 2
    assert listed.err.startswith("3 open, 2 shown")
    ids = [line["promptId"] for line in (await shell.ok("inbox", "ls", "--group-key", key, "--json")).lines]
    assert ids == [prompt.prompt_id for prompt in asked[:3]]
    assert (await shell.run("inbox", "ls", "--group-key", key, "--watch")).code == 2
    names = [ids[0], f"{asked[0].job_id}/{asked[0].key}", *ids[1:], dismissible.prompt_id]
    done = await shell.run("inbox", "reject", "--yes", "--json", *names)
    assert done.code == 0, done
    assert [line["name"] for line in done.lines] == names
    assert [line["status"] for line in done.lines] == ["ACCEPTED"] * 5
    answers = [line["prompt"]["resolution"]["answer"] for line in done.lines]
    assert len({answer["batchId"] for answer in answers}) == 1
    assert answers[-1]["decision"] == "DISMISS"
    shown = await shell.ok("inbox", "show", ids[0])
    assert f"with others: batch {answers[0]['batchId']}" in shown.out
    (alone,) = (await shell.ok("inbox", "approve", "--yes", "--json", asked[3].prompt_id)).lines
    assert "batchId" not in alone["prompt"]["resolution"]["answer"]
