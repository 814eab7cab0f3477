"""A person by the SDK: `python -m tests.e2e.programs.console SERVER NAME [OPTIONS]`.

Answers whatever it is shown with a value that nobody else gives: after thinking for up to `--think SECONDS`
(random by `--seed`), and not before the file of `--gate` is there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import uuid

from askback import Client, Closing, Console, ConsolePrompt
from askback.errors import PromptClosed, PromptStale
from tests.e2e.programs.saying import log_to_stderr, passes, say

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("name")
parser.add_argument("--gate", default="")
parser.add_argument("--think", type=float, default=0.0)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
think = random.Random(arguments.seed)


async def answer(prompt: ConsolePrompt) -> None:
    """Give an answer, and tell what became of it. Anything but a lost race is an error."""
    what = {"prompt_id": prompt.prompt_id, "job_id": prompt.job_id, "key": prompt.key}
    value = f"{arguments.name} says {uuid.uuid4().hex}"
    try:
        await asyncio.sleep(think.uniform(0, arguments.think))
        if arguments.gate:
            await passes(arguments.gate)
        say("answers", **what, value=value)
        outcome = await prompt.answer(value, comment=f"by {arguments.name}")
    except PromptClosed as late:
        won = late.resolution
        if won is None:
            say("error", **what, error=f"closed, but not how: {late!r}")
            return
        winner = won.answer.answer_id if won.answer else ""
        say("verdict", **what, value=value, status="CLOSED", state=won.state, winner=winner)
    except PromptStale:
        say("verdict", **what, value=value, status="STALE")
    except Exception as error:
        say("error", **what, error=repr(error))
    else:
        say(
            "verdict",
            **what,
            value=value,
            status=outcome.status,
            answer_id=outcome.answer_id,
            replayed=outcome.replayed,
        )


def closing(closed: Closing) -> None:
    """Tell how a prompt left the view."""
    resolution = closed.resolution
    say(
        "closing",
        prompt_id=closed.prompt_id,
        job_id=closed.job_id,
        why=closed.why,
        state=resolution.state if resolution else "",
        answer_id=closed.answer_id,
    )


async def sit(desk: Console, answers: set[asyncio.Task[None]]) -> None:
    """Take what comes."""
    async for prompt in desk.prompts():
        say(
            "shown",
            prompt_id=prompt.prompt_id,
            job_id=prompt.job_id,
            key=prompt.key,
            version=prompt.version,
            state=prompt.state,
        )
        task = asyncio.create_task(answer(prompt))
        answers.add(task)
        task.add_done_callback(answers.discard)


async def main() -> None:
    """Until SIGTERM; what was begun is brought to its end."""
    log_to_stderr()
    answers: set[asyncio.Task[None]] = set()
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    async with Client(arguments.server, user=arguments.name) as client, client.console() as desk:
        desk.on_closed(closing)
        sitting = asyncio.create_task(sit(desk, answers))
        say("connected")
        stop = asyncio.create_task(asked.wait())
        await asyncio.wait((sitting, stop), return_when=asyncio.FIRST_COMPLETED)
        if sitting.done():
            say("error", error=repr(sitting.exception()))
        sitting.cancel()
        await asyncio.gather(sitting, return_exceptions=True)
        await asyncio.gather(*answers)
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
