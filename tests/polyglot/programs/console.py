"""The examples' console with the SDK: `python -m tests.polyglot.programs.console --server SERVER`.

Each line of standard input has the values of one answer as a JSON object; after a refusal the next is used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from askback import Client
from askback.errors import AnswerInvalid
from tests.e2e.programs.saying import log_to_stderr, say


async def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server")
    parser.add_argument("--user")
    arguments = parser.parse_args()
    async with (
        Client(arguments.server, user=arguments.user) as client,
        client.console(connect_timeout=30) as desk,
    ):
        say("connected")
        async for prompt in desk.prompts():
            say("shown", prompt_id=prompt.prompt_id, key=prompt.key, revision=prompt.revision)
            while line := await asyncio.to_thread(sys.stdin.readline):
                say("answering")
                try:
                    outcome = await prompt.answer(json.loads(line))
                except AnswerInvalid as refused:
                    wrong = {v.field: v.description for v in refused.violations}
                    say("verdict", status="INVALID", violations=wrong)
                else:
                    say("verdict", status=outcome.status, answer_id=outcome.answer_id)
                    break
            else:
                return


if __name__ == "__main__":
    log_to_stderr()
    asyncio.run(main())
