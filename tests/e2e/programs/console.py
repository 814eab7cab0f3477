"""A console that uses the SDK: `python -m tests.e2e.programs.console SERVER NAME [OPTIONS]`.

Answers every prompt with a unique value: after a pause of up to `--think SECONDS` (random, from `--seed`),
and not before the file of `--gate` exists.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import uuid

from askback import Client, Closing, Console, ConsolePrompt
from askback.errors import PromptClosed, PromptStale
from tests.e2e.programs.saying import log_to_stderr, say, wait_for_gate

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("name")
parser.add_argument("--gate", default="")
parser.add_argument("--think", type=float, default=0.0)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
think = random.Random(arguments.seed)


async def answer(prompt: ConsolePrompt) -> None:
    """Send an answer and report its verdict. Anything but a lost race is an error."""
    what = {"prompt_id": prompt.prompt_id, "job_id": prompt.job_id, "key": prompt.key}
    value = f"{arguments.name} says {uuid.uuid4().hex}"
    try:
        await asyncio.sleep(think.uniform(0, arguments.think))
        if arguments.gate:
            await wait_for_gate(arguments.gate)
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
    """Report how a prompt left the view."""
    resolution = closed.resolution
    say(
        "closing",
        prompt_id=closed.prompt_id,
        job_id=closed.job_id,
        why=closed.why,
        state=resolution.state if resolution else "",
        answer_id=closed.answer_id,
    )


async def answer_all(console: Console, answers: set[asyncio.Task[None]]) -> None:
    """Report each prompt of the view and start to answer it."""
    async for prompt in console.prompts():
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
    """Answer prompts until SIGTERM, then finish the answers that have begun."""
    log_to_stderr()
    answers: set[asyncio.Task[None]] = set()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Client(arguments.server, user=arguments.name) as client, client.console() as console:
        console.on_closed(closing)
        answering = asyncio.create_task(answer_all(console, answers))
        say("connected")
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait((answering, stop), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            say("error", error=repr(answering.exception()))
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await asyncio.gather(*answers)
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
