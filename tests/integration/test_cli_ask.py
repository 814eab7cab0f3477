"""`askback ask` as a gate in a script: its output and exit code."""

import json
import re
import signal

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from tests.support.requests import ACCEPT, CANCELLED, EDIT, PENDING_HITL, REJECT, RESPOND, REVISE, answer
from tests.support.service import ServiceWorld
from tests.support.shell import CommandResult, RunningCommand, Shell


async def _open(world: ServiceWorld) -> prompts.Prompt:
    """Ana's only open prompt."""
    found = await world.hitl.ListPrompts(hitl.ListPromptsRequest())
    [prompt] = found.prompts
    return prompt


async def _asking(shell: Shell, *words: str) -> RunningCommand:
    """Start `askback ask` and wait until it has asked."""
    running = await shell.start("ask", *words)
    await running.wait_for_line("asked ", on="err")
    return running


@pytest.mark.parametrize(
    ("decision", "code", "printed"),
    [
        (ACCEPT, 0, "yes, by ada: said"),
        (REJECT, 5, "no, by ada: said"),
        (REVISE, 5, "no: to be done again, by ada: said"),
    ],
)
async def test_ask_exits_by_the_decision(
    lite: ServiceWorld, shell: Shell, decision: int, code: int, printed: str
) -> None:
    """Exit code 0 for yes, 5 for any other answer."""
    asking = await _asking(shell, "Deploy 1.4?")
    prompt = await _open(lite)
    assert (prompt.content.kind, prompt.content.title) == ("confirm", "Deploy 1.4?")
    await lite.hitl.AnswerPrompt(answer(prompt, decision=decision, comment="said"))
    done = await asking.result()
    assert (done.code, done.out) == (code, f"{printed}\n")


async def test_ask_exits_with_6_when_the_deadline_passes(shell: Shell) -> None:
    """Exit code 6, also for the default no; 0 for the default yes. Outputs name the default as source."""
    assert (await shell.run("ask", "Deploy?", "--deadline", "200ms")).code == 6
    yes = await shell.run("ask", "Deploy?", "--deadline", "1s", "--default", "yes")
    assert (yes.code, yes.out) == (0, "yes, by the deadline's default\n")
    no = await shell.run("ask", "Deploy?", "--deadline", "200ms", "--default", "no", "--json")
    assert no.code == 6
    assert no.json["resolution"]["answer"]["source"] == "TIMEOUT_DEFAULT"
    assert no.json["resolution"]["answer"]["byDefault"] is True
    job_id, prompt_id = no.json["jobId"], no.json["promptId"]
    assert (await shell.run("job", "watch", job_id)).code == 6
    for words in (
        ("job", "show", job_id),
        ("job", "watch", job_id),
        ("explain", job_id),
        ("inbox", "show", prompt_id),
        ("inbox", "show", prompt_id, "--answers"),
        ("inbox", "ls", "--state", "answered"),
    ):
        assert re.search(r"by (the deadline's |its deadline's )?default", (await shell.run(*words)).out), (
            words
        )
        found = (await shell.run(*words, "--json")).out
        assert '"byDefault": ' in found or '"source": "TIMEOUT_DEFAULT"' in found, words


async def test_ask_prints_a_choice_without_quotes(lite: ServiceWorld, shell: Shell) -> None:
    asking = await _asking(shell, "Where to?", "--choice", "staging", "--choice", "production=Live!")
    prompt = await _open(lite)
    assert prompt.content.kind == "clarify"
    [question] = prompt.content.questions.questions
    assert [(o.value, o.title) for o in question.single.options] == [("staging", ""), ("production", "Live!")]
    values = json.dumps({question.question_id: "production"})
    await lite.hitl.AnswerPrompt(answer(prompt, decision=RESPOND, values_json=values))
    done = await asking.result()
    assert (done.code, done.out) == (0, "production\n")


async def test_ask_prints_values_as_json(lite: ServiceWorld, shell: Shell) -> None:
    """With a schema from a file; the values keep the order in which they were sent."""
    schema = {"type": "object", "properties": {"z": {"type": "integer"}, "a": {"type": "string"}}}
    (shell.home / "form.json").write_text(json.dumps(schema))
    asking = await _asking(shell, "How?", "--form", "form.json")
    prompt = await _open(lite)
    assert json.loads(prompt.content.schema_json) == schema
    values = '{"z": 9007199254740993, "a": "x"}'
    await lite.hitl.AnswerPrompt(answer(prompt, decision=RESPOND, values_json=values))
    done = await asking.result()
    assert (done.code, done.out) == (0, values + "\n")


async def test_ask_prints_free_text(lite: ServiceWorld, shell: Shell) -> None:
    asking = await _asking(shell, "Why?", "--kind", "clarify")
    await lite.hitl.AnswerPrompt(answer(await _open(lite), decision=RESPOND, comment="because\nof that"))
    done = await asking.result()
    assert (done.code, done.out) == (0, "because\nof that\n")
    assert "to answer: askback inbox answer " in done.err


async def test_ask_shows_files_and_prints_their_edits(lite: ServiceWorld, shell: Shell) -> None:
    (shell.home / "1 notes.md").write_text("# Notes\n")
    (shell.home / "a.diff").write_text("+x\n")
    words = ["--contents", "1 notes.md", "--contents", "a.diff", "--editable", "--body", "@a.diff", "--json"]
    asking = await shell.start("ask", "Right?", *words)
    prompt = None
    while prompt is None:
        found = await lite.hitl.ListPrompts(hitl.ListPromptsRequest())
        prompt = found.prompts[0] if found.prompts else None
    assert prompt.content.kind == "preview"
    assert prompt.content.body == "+x\n"
    shown = [(p.content_id, p.title, p.media_type, p.editable, p.text) for p in prompt.content.contents]
    assert shown == [
        ("file-1-1-notes.md", "1 notes.md", "text/markdown", True, "# Notes\n"),
        ("a.diff", "a.diff", "text/x-diff", True, "+x\n"),
    ]
    edits = [prompts.Edit(content_id="a.diff", text="+y\n")]
    await lite.hitl.AnswerPrompt(answer(prompt, decision=EDIT, edits=edits))
    done = await asking.result()
    assert done.code == 0
    assert done.json["resolution"]["answer"]["edits"] == [{"contentId": "a.diff", "text": "+y\n"}]


async def test_ask_sends_audience_deadline_priority_and_labels(lite: ServiceWorld, shell: Shell) -> None:
    words = ["--to", "group:release", "--to", "user:bob", "--deadline", "4h", "--priority", "3", "--no-wait"]
    job_id = (await shell.ok("ask", "Deploy?", *words, "--label", "app=shop")).out.strip()
    request = hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=job_id))
    [prompt] = (await lite.as_user("bob").hitl.ListPrompts(request)).prompts
    assert (prompt.content.audience.groups, prompt.content.audience.users) == (["release"], ["bob"])
    assert prompt.content.timeout.seconds == 4 * 3600
    assert (prompt.content.priority, dict(prompt.content.labels)) == (3, {"app": "shop"})


async def test_the_same_request_id_is_the_same_question(lite: ServiceWorld, shell: Shell) -> None:
    """A repeated request waits for the same question or returns its answer. Another text is refused."""
    first = await _asking(shell, "Deploy?", "--request-id", "r-1")
    first.signal(signal.SIGKILL)
    second = await _asking(shell, "Deploy?", "--request-id", "r-1")
    await lite.hitl.AnswerPrompt(answer(await _open(lite), comment="go"))
    assert (await second.result()).code == 0
    third = await shell.run("ask", "Deploy?", "--request-id", "r-1")
    assert (third.code, third.out) == (0, "yes, by ada: go\n")
    other = await shell.run("ask", "Deploy something else?", "--request-id", "r-1")
    assert other.code == 4


async def test_ctrl_c_leaves_the_question_open(lite: ServiceWorld, shell: Shell) -> None:
    """It prints a command that resumes the wait, and this command exits by the answer."""
    asking = await _asking(shell, "Deploy?", "--user", "ben")
    asking.signal(signal.SIGINT)
    done = await asking.result()
    assert done.code == 130
    assert "Traceback" not in done.err
    job_id, flags = re.findall(r"askback job watch (\S+)(.*)", done.err)[0]
    assert (await lite.job(job_id)).state == PENDING_HITL
    watching = await shell.start("job", "watch", job_id, *flags.split())
    await watching.wait_for_line("asks: Deploy?")
    await lite.hitl.AnswerPrompt(answer(await _open(lite), decision=REJECT))
    assert (await watching.result()).code == 5
    as_json = await shell.start("ask", "Deploy?", "--json", "--request-id", "r-9")
    while not (await lite.hitl.ListPrompts(hitl.ListPromptsRequest())).prompts:
        pass
    as_json.signal(signal.SIGINT)
    left = json.loads((await as_json.result()).err)["interrupted"]
    assert left["requestId"] == "r-9"
    # The question can be visible here before the asker has the reply with the job's id.
    asked = (await _open(lite)).job_id
    assert left.get("jobId", asked) == asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_withdraws_the_question_if_asked_to(
    lite: ServiceWorld, shell: Shell, number: signal.Signals
) -> None:
    asking = await _asking(shell, "Deploy?", "--cancel-on-interrupt")
    prompt = await _open(lite)
    asking.signal(number)
    assert (await asking.result()).code == 130
    assert (await lite.job(prompt.job_id)).state == CANCELLED


async def test_a_withdrawn_question_does_not_exit_with_zero(lite: ServiceWorld, shell: Shell) -> None:
    asking = await _asking(shell, "Deploy?")
    prompt = await _open(lite)
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=prompt.job_id, reason="no need"))
    done = await asking.result()
    assert done.code == 5
    assert done.out.startswith("withdrawn")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "words",
    [
        ["--default", "yes"],
        ["--to", "release"],
        ["--deadline", "soon"],
        ["--choice", "a", "--form", "form.json"],
        ["--form", "nowhere.json"],
        ["--contents", "nowhere.md"],
        ["--editable"],
        ["--label", "x"],
        ["--default", "maybe", "--deadline", "1s"],
        ["--default", "yes", "--deadline", "200ms"],
        ["--default", "yes", "--deadline", "0s"],
        ["--default", "yes", "--deadline", "-5s"],
        ["--default", "no", "--deadline", "30"],
        ["--escalate", "30=group:leads"],
        ["--remind", "30"],
        ["--timeout", "nan"],
        ["--timeout", "5"],
    ],
    ids=" ".join,
)
async def test_ask_refuses_wrong_options_without_asking(shared_shell: Shell, words: list[str]) -> None:
    """Exit code 2 with a reason; no job is created."""
    done: CommandResult = await shared_shell.run("ask", "Deploy?", *words)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert (await shared_shell.ok("job", "ls", "--json")).out == ""


async def test_ask_sends_escalation_steps_and_reminders(lite: ServiceWorld, shell: Shell) -> None:
    """Typed steps and reminders are sent. Wrong ones are refused before anything is asked."""
    words = ("--to", "group:desk", "--escalate", "1h=group:leads,user:ana", "--escalate", "4h=group:boss")
    await _asking(shell, "Refund?", *words, "--remind", "30m")
    prompt = await lite.as_user("sam", "desk").hitl.ListPrompts(hitl.ListPromptsRequest())
    [asked] = prompt.prompts
    steps = asked.content.escalation
    assert [s.after.seconds for s in steps] == [3600, 4 * 3600]
    assert ([*steps[0].to.groups], [*steps[0].to.users]) == (["leads"], ["ana"])
    assert asked.content.reminders.every.seconds == 1800
    for wrong in ("1h", "1h=", "soon=group:x", "1h=boss"):
        done = await shell.run("ask", "Refund?", "--escalate", wrong)
        assert done.code == 2, wrong
        assert "--escalate" in done.err
    explained = (await shell.ok("explain", asked.job_id)).out
    assert re.search(r"escalation\s+in (1 h|\d\d min) \(.*\): user ana, group leads is asked too", explained)
    assert re.search(r"then\s+in [34] h \(.*\): group boss is asked too", explained)
    assert re.search(r"reminders +in .*: consoles remind people; 0 so far", explained)
    found = (await shell.ok("explain", asked.job_id, "--json")).json["prompts"][0]
    assert [s["groups"] for s in found["escalation"]] == [["leads"], ["boss"]]
    assert found["reminders"]["count"] == 0
