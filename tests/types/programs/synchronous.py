"""Types of the synchronous client: those of the asynchronous one without `await`."""

from collections.abc import Iterator
from typing import Any, Literal, assert_type

from pydantic import BaseModel

from askback import sync
from askback.sync import AnswerOutcome, Client, ConsolePrompt, Event, JobInfo, PromptInfo, Run, Verdict


class Ruling(BaseModel):
    amount: float


def main() -> None:
    with Client.connect("dns:///askback:50051", token="t") as client:
        assert_type(client, Client)
        run = client.start("refund", {"order": "A-17"}, priority=3)
        assert_type(run, Run[Any])
        named = client.start("refund", returns=Ruling)
        assert_type(named.result(timeout=60), Ruling)
        assert_type(client.run("id", returns=float).result(), float)
        assert_type(client.retry("id", keep="ALL"), Run[Any])
        gate = client.ask("Deploy?", deadline=3600)
        assert_type(gate.result(), Verdict[None])
        plan = client.ask("How?", form=Ruling)
        assert_type(plan.result().values, Ruling)
        assert_type(client.ask("Side?", form=Literal["a", "b"]).result().values, Literal["a", "b"])
        assert_type(client.run("id", returns=str | None).result(), str | None)
        assert_type(client.get("id", strong=False), JobInfo)
        assert_type(client.list(states=["PENDING"]), Iterator[JobInfo])
        assert_type(client.prompts(kinds=["confirm"]), Iterator[PromptInfo])
        for prompt in client.prompts():
            assert_type(client.answer(prompt, "ACCEPT", comment="ok"), AnswerOutcome)
        for event in run.watch(after_seq=3):
            assert_type(event, Event)
        with client.console(kinds=["confirm"]) as desk:
            assert_type(desk, sync.Console)
            assert_type(desk.caught_up.wait(timeout=5), bool)
            for shown in desk.prompts():
                assert_type(shown, ConsolePrompt)
                assert_type(shown.approve(comment="checked"), AnswerOutcome)

        # Errors that type checkers must find.
        client.get(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.get("id", weak=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        client.start("refund", colour="red")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        run.result(timeout="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
