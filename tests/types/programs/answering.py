"""Types of a console and of a scripted human."""

from typing import assert_type

from askback import AnswerOutcome, Client, Closing, ConsolePrompt
from askback.testing import Clock, Human, Rule


async def answer_prompts() -> None:
    async with (
        Client.connect("dns:///askback:50051") as client,
        client.console(user="ana", groups=["refund-desk"]) as console,
    ):
        async for prompt in console:
            assert_type(prompt, ConsolePrompt)
            match prompt.kind:
                case "confirm":
                    assert_type(await prompt.approve(comment="checked the ledger"), AnswerOutcome)
                case "clarify":
                    assert_type(await prompt.answer(policy="goodwill", amount=12.5), AnswerOutcome)
                case "preview":
                    assert_type(await prompt.revise("shorter"), AnswerOutcome)
                case _:
                    assert_type(await prompt.decline(reason="not my area"), AnswerOutcome)
        async for prompt in console.prompts():
            assert_type(prompt, ConsolePrompt)
        async for closing in console.closings():
            assert_type(closing, Closing)


async def test_it(human: Human, clock: Clock) -> None:
    assert_type(human.on("how should we rule").answers({"policy": "goodwill"}), Rule)
    assert_type(human.on(key="notes", kind="preview").revises("shorter").approves(), Rule)
    assert_type(human.on(job_type="refund").never(), Rule)
    await clock.advance(hours=4)
    assert_type(human.seen, list[str])

    # Errors that type checkers must find.
    human.on(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    human.on().approves(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await clock.advance(weeks=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
