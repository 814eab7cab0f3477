"""askback.testing as its users write it: the scripted human, the clock, and errors that fail the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum

import pytest
from pydantic import BaseModel, Field

from askback import (
    Approval,
    Client,
    Content,
    Exclude,
    Job,
    JobFailed,
    JobState,
    PromptDeclined,
    PromptExpired,
    Worker,
)
from askback.testing import Clock, Human, Server
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.support.waiting import until


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"
    LEGAL = "legal"


class Ruling(BaseModel):
    policy: Policy = Field(title="Which policy applies?")
    amount: float = Field(ge=0, title="Refund in EUR")
    rationale: str = ""


# Tests never use the real server or token.
worker = Worker("dns:///askback.example:50051", token="not-for-a-test")


@worker.job("refund")
async def refund(job: Job, order: str, days: int) -> float:
    await job.progress(1, 3, "order loaded")
    ruling = await job.ask(
        "How should we rule on this refund?",
        Ruling,
        key="ruling",
        body=f"Returned after **{days} days**.",
        to=["group:refund-desk"],
        deadline=timedelta(hours=4),
    )
    if ok := await job.confirm(f"Pay {ruling.amount:.2f} EUR for {order}?", key="pay"):
        await job.progress(3, 3, f"approved by {ok.by}")
        return ruling.amount
    return 0.0


@worker.job("script")
async def script(job: Job, name: str) -> object:
    return await SCRIPTS[name](job)


SCRIPTS: dict[str, Callable[[Job], Awaitable[object]]] = {}


def register(function: Callable[[Job], Awaitable[object]]) -> str:
    """Register a job function of one test; returns its name."""
    SCRIPTS[function.__name__] = function
    return function.__name__


async def test_goodwill_is_paid(human: Human) -> None:
    human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
    human.on(kind="confirm").approves("fine")
    run = await refund.start(order="A-17", days=41)
    assert await run.result() == 12.5
    assert human.seen == ["ruling", "pay"]


async def test_unexpected_prompt_fails_loudly(human: Human) -> None:
    with pytest.raises(AssertionError, match="no fake-human rule"):
        await (await refund.start(order="x", days=1)).result()


async def test_never_lets_a_prompt_expire(human: Human, clock: Clock) -> None:
    @register
    async def waits(job: Job) -> str:
        try:
            return await job.ask("Well?", key="well", deadline=timedelta(hours=4))
        except PromptExpired as error:
            return f"expired: {error.prompt.title}"

    human.on("well").never()
    run = await script.start(name=waits)
    await clock.advance(hours=3, minutes=59)
    assert (await run.job()).state is JobState.PENDING_HITL
    await clock.advance(minutes=1)
    assert await run.result() == "expired: Well?"
    assert human.seen == ["well"]


async def test_every_verb_sends_its_decision(human: Human) -> None:
    @register
    async def asks(job: Job) -> list[object]:
        contents = [Content("notes", "old", editable=True)]
        said: list[object] = [await job.ask("Name?", key="name")]
        said.append(await job.ask("Ruling?", Ruling, key="model"))
        said.append(await job.ask("How many?", int, key="count"))
        said.append((await job.preview("Right?", key="edit", contents=contents)).text("notes"))
        revised = await job.preview("Again?", key="revise", contents=contents)
        said += [revised.decision, revised.comment]
        no = await job.confirm("Go?", key="no")
        said += [bool(no), no.comment, no.by]
        yes = await job.confirm("And now?", key="yes")
        said += [bool(yes), yes.comment]
        for key in ("why", "who"):
            try:
                await job.ask(f"{key}?", key=key)
            except PromptDeclined as error:
                said += [error.decision, error.comment]
        return said

    human.on(key="name").answers("Ada")
    human.on(key="model").answers(Ruling(policy=Policy.LEGAL, amount=3))
    human.on(key="count").answers(lambda prompt: len(prompt.title))
    human.on(key="edit").edits({"notes": "new"})
    human.on(key="revise").revises("shorter")
    human.on(key="no").declines("not today")
    human.on(key="yes").approves("fine")
    human.on(key="why").declines("private")
    human.on(key="who").dismisses("no idea")
    run = await script.start(name=asks)
    assert await run.result() == [
        "Ada",
        {"policy": "legal", "amount": 3.0, "rationale": ""},
        9,
        "new",
        "REVISE",
        "shorter",
        False,
        "not today",
        "human",
        True,
        "fine",
        "DISMISS",
        "private",
        "DISMISS",
        "no idea",
    ]
    human.assert_all_used()


async def test_chained_verbs_answer_one_prompt_each(human: Human) -> None:
    @register
    async def drafts(job: Job) -> int:
        for round in range(1, 10):
            shown = await job.preview("Notes?", key=f"draft-{round}", contents={"notes": f"draft {round}"})
            if shown:
                return round
        return 0

    rule = human.on("notes").revises("shorter").revises("longer").approves()
    assert await (await script.start(name=drafts)).result() == 3
    assert [prompt.key for prompt in rule.prompts] == ["draft-1", "draft-2", "draft-3"]
    # The last verb stays for all later prompts.
    assert await (await script.start(name=drafts)).result() == 1


async def test_rules_by_kind_key_and_job_type_and_the_newest_counts(human: Human) -> None:
    @register
    async def three(job: Job) -> list[str]:
        return [(await job.confirm(f"{key}?", key=key)).comment for key in ("a", "b", "c")]

    human.on().approves("any")
    human.on("B?").approves("by title")
    human.on(key="c", job_type="other").approves("not this one")
    human.on(key="c", kind="preview").approves("nor this")
    human.on(kind="confirm", key="c", job_type="script").approves("by all")
    assert await (await script.start(name=three)).result() == ["any", "by title", "by all"]
    assert [repr(rule) for rule in human.unused] == [
        "human.on(key='c', job_type='other').approves('not this one')",
        "human.on(kind='preview', key='c').approves('nor this')",
    ]
    with pytest.raises(AssertionError, match=r"no prompt matched:\n +human.on\(key='c', job_type='other'\)"):
        human.assert_all_used()


async def test_the_failure_of_an_unexpected_prompt_lists_the_rules(human: Human) -> None:
    human.on("something else").approves()
    human.on(key="also").answers({"a": 1})
    run = await refund.start(order="A-17", days=41)
    with pytest.raises(AssertionError) as failure:
        await run.result()
    text = str(failure.value)
    assert "no fake-human rule for the prompt 'How should we rule on this refund?'" in text
    assert "[clarify] How should we rule on this refund?" in text
    assert "key 'ruling', job type 'refund', to group:refund-desk, until " in text
    assert "Returned after **41 days**." in text
    assert "* policy: Which policy applies? (one of standard, goodwill, legal)" in text
    assert "* amount: Refund in EUR (number, minimum 0)" in text
    newest, oldest = text.index("human.on(key='also')"), text.index("human.on('something else').approves()")
    assert newest < oldest
    assert "human.on(key='ruling').answers({'policy': ..., 'amount': ..., 'rationale': ...})" in text
    # The job stops waiting.
    job = await run.job()
    assert (job.state, job.failure and job.failure[0]) == (JobState.FAILED, "PromptCancelled")


async def test_an_answer_that_the_server_refuses_fails_as_loudly(human: Human) -> None:
    human.on(key="ruling").answers({"policy": "goodwill", "amount": -1})
    with pytest.raises(AssertionError, match="was refused") as failure:
        await (await refund.start(order="A-17", days=41)).result()
    assert "values_json/amount: the value is less than the minimum of 0" in str(failure.value)


async def test_a_rule_that_raises_fails_the_test_and_the_human_continues(human: Human) -> None:
    def picky(prompt: object) -> object:
        raise AssertionError

    human.on(key="ruling").answers(picky).answers({"policy": "legal", "note": "x" * 5000})
    human.on(key="pay").approves()
    runs = [await refund.start(order="A-17", days=41) for _ in range(2)]
    for run in runs:
        with pytest.raises(AssertionError, match="was refused: AssertionError"):
            await run.result()
        assert (await run.job()).state is JobState.FAILED


async def test_a_rule_without_a_verb_is_unfinished(human: Human) -> None:
    human.on(key="ruling")
    with pytest.raises(AssertionError, match=r"human.on\(key='ruling'\) says nothing"):
        await (await refund.start(order="A-17", days=41)).result()


async def test_control_sequences_are_removed_from_failure_messages(human: Human) -> None:
    @register
    async def hostile(job: Job) -> None:
        await job.confirm("all \x1b[2J\u202efine\u2066", key="k", body="a\x07b")

    with pytest.raises(AssertionError) as failure:
        await (await script.start(name=hostile)).result()
    assert not set(str(failure.value)) & set("\x1b\x07\u202e\u2066")


async def test_scripted_answers_are_stored_with_the_source_test(human: Human, askback_server: Server) -> None:
    human.on().answers({"policy": "goodwill", "amount": 1}).approves()
    await (await refund.start(order="A-17", days=41)).result()
    async with askback_server.client(user="auditor") as client:
        for prompt in human.prompts:
            request = pb.ListAnswersRequest(prompt_id=prompt.prompt_id)
            page = await client._calls.unary(client._calls.hitl.ListAnswers, request)
            assert [record.answer.source for record in page.answers] == [prompt_pb2.ANSWER_SOURCE_TEST]


async def test_programs_without_a_target_find_the_server(human: Human, askback_server: Server) -> None:
    human.on().answers({"policy": "goodwill", "amount": 1}).approves()
    await askback_server.work(worker)
    async with Client() as client:
        run = await client.start("refund", {"order": "A-17", "days": 1})
        assert await run.result() == 1.0


async def test_a_failed_job_raises_its_own_failure(human: Human) -> None:
    @register
    async def fails(job: Job) -> None:
        raise ZeroDivisionError("by hand")

    run = await script.using(max_attempts=1).start(name=fails)
    with pytest.raises(JobFailed, match="by hand"):
        await run.result()


async def test_the_scripted_human_answers_in_another_namespace(human: Human) -> None:
    elsewhere = Worker(namespace="eu")

    @elsewhere.job("eu")
    async def ask(job: Job) -> bool:
        return bool(await job.confirm("Here?", key="here"))

    human.on("here").approves()
    assert await (await ask.start()).result() is True
    async with Client(namespace="us") as client:
        run = await client.ask("Here too?")
        assert (await run.result())["decision"] == "ACCEPT"


async def test_the_client_that_was_entered_is_used_if_it_is_of_this_server(human: Human) -> None:
    human.on(key="ruling").answers({"policy": "legal", "amount": 2})
    human.on(key="pay").approves()
    async with Client("127.0.0.1:1", user="astray"), Client(user="ana"):
        run = await refund.start(order="A-17", days=41)
        assert (await run.job()).proto.user_id == "ana"
        assert await run.result() == 2.0
    async with Client("127.0.0.1:1", user="astray"):
        run = await refund.start(order="A-17", days=41)
        assert (await run.job()).proto.user_id == "test"


async def test_a_human_that_breaks_down_fails_the_test(
    human: Human, askback_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash_in_rendering(prompt: object) -> str:
        raise ZeroDivisionError("in rendering")

    monkeypatch.setattr("askback.testing.human.render", crash_in_rendering)
    run = await refund.using(max_attempts=1).start(order="A-17", days=41)
    await until(lambda: human.pending_failure)
    with pytest.raises(AssertionError, match=r"broke down: ZeroDivisionError.*in rendering"):
        askback_server.check()
    assert human.pending_failure is None, "it was told"
    await run.cancel()


async def test_many_jobs_and_questions_at_once(human: Human) -> None:
    @register
    async def crowd(job: Job) -> int:
        answers = await asyncio.gather(*(job.ask(f"{n}?", int, key=str(n)) for n in range(5)))
        return sum(answers)

    human.on().answers(lambda prompt: int(prompt.key))
    runs = [await script.start(name=crowd) for _ in range(6)]
    assert [await run.result() for run in runs] == [10] * 6
    assert len(human.seen) == 30


async def test_a_job_function_starts_other_jobs_at_its_own_server(human: Human) -> None:
    human.on(key="ruling").answers({"policy": "legal", "amount": 2})
    human.on(key="pay").approves()

    @register
    async def parent(job: Job) -> float:
        child = await refund.using(request_id=f"{job.job_id}/refund").start(order="A-17", days=1)
        again = await refund.using(request_id=f"{job.job_id}/refund").start(order="A-17", days=1)
        assert child.job_id == again.job_id
        return await child.result()

    assert await (await script.start(name=parent)).result() == 2.0


@worker.job("forgetful")
async def forgetful(job: Job) -> str:
    await job.confirm("Any time?", key="any-time")
    return "answered"


async def test_never_without_a_deadline_fails_at_once(human: Human) -> None:
    human.on(key="any-time").never()
    run = await forgetful.start()
    with pytest.raises(AssertionError, match=r"never\(\) leaves 'Any time\?' alone.* no deadline") as failed:
        await run.result(timeout=30)
    assert "[confirm] Any time?" in str(failed.value)


async def test_never_without_a_deadline_can_be_allowed(human: Human) -> None:
    human.on(key="any-time").never(without_deadline=True)
    run = await forgetful.start()
    await until(lambda: human.seen)
    with pytest.raises(TimeoutError):
        await run.result(timeout=0.2)
    await run.cancel()


async def test_never_is_fine_where_the_job_ends_by_its_timeout(human: Human, clock: Clock) -> None:
    human.on(key="any-time").never()
    run = await forgetful.using(timeout=3600).start()
    await clock.advance(hours=2)
    with pytest.raises(JobFailed) as failed:
        await run.result()
    assert failed.value.failure_code == "DEADLINE_EXCEEDED"


async def test_never_without_a_deadline_fails_for_a_job_without_a_worker(human: Human) -> None:
    human.on("Deploy?").never()
    async with Client() as client:
        run = await client.ask("Deploy?")
        verdict = await run.result(timeout=30)
    assert verdict.state == "CANCELLED"
    with pytest.raises(AssertionError, match="no deadline"):
        human.check()


async def _two_rounds(job: Job) -> object:
    plan = await job.confirm("Plan?", key="plan")
    verdict = await job.confirm(
        "Release?",
        key="release",
        approval=Approval(2, per_group={"qa": 1}),
        exclude=Exclude(answerers_of=["plan"]),
        deadline=timedelta(hours=1),
        on_deadline="EXPIRE",
    )
    told = await job.confirm("Announce?", key="told", exclude=Exclude(answerers_of=["plan"]))
    return [plan.by, *verdict.voters, told.by]


two_rounds = register(_two_rounds)


async def test_the_human_votes_as_as_many_people_as_are_needed(human: Human) -> None:
    human.on().approves()
    assert await (await script.start(name=two_rounds)).result() == ["human", "qa-1", "qa-2", "human-2"]


async def test_named_people_vote_once_each_and_time_may_pass(human: Human, clock: Clock) -> None:
    human.on("Plan").approves(by=["amy"])
    human.on("Release").approves(by=["ben"])
    run = await script.start(name=two_rounds)
    await clock.advance(hours=2)
    with pytest.raises(JobFailed, match="no answer to 'Release"):
        await run.result()
