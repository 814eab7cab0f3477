"""Who answers in the demo: a person at the terminal, or a script where there is none."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from askback.console_prompt import ConsolePrompt
from askback.errors import AnswerInvalid
from askback.terminal.paper import paper
from askback.terminal.sheet import write_sheet
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import taken
from askback.terminal.wizard import by_console, settle
from askback.terminal.words import now

EDITED = "# Release 1.4.0\n\n- Approvals in the terminal\n- Fixed: the answer is never lost\n"

SCRIPT: dict[str, dict[str, Any]] = {
    "plan": {
        "values": {"target": "production", "canary_percent": 10, "reason": "the fix is urgent"},
        "wrong": {"target": "production", "canary_percent": 250},
    },
    "notes": {"edits": {"notes": EDITED}, "comment": "shorter"},
    "go": {"comment": "checked the ledger"},
}
"""What the scripted person says, by the prompt's key. `wrong` is tried first, to be refused."""

Say = Callable[[str, str], None]
Answerer = Callable[[ConsolePrompt, Say], Awaitable[None]]


async def scripted(prompt: ConsolePrompt, say: Say) -> None:
    """Answer as the script says."""
    lines = SCRIPT[prompt.key]
    if wrong := lines.get("wrong"):
        try:
            await prompt.answer(wrong)
        except AnswerInvalid as error:
            what = "; ".join(f"{v.field}: {v.description}" for v in error.violations)
            say("person", f"answers {json.dumps(wrong)} and is refused: {what}")
    if prompt.kind == "preview":
        outcome = await prompt.edit(lines["edits"], comment=lines["comment"])
        say("person", f"edits the notes ({lines['comment']!r}): {outcome.status}")
    elif "values" in lines:
        outcome = await prompt.answer(lines["values"])
        say("person", f"answers {json.dumps(lines['values'])}: {outcome.status}")
    else:
        outcome = await prompt.approve(lines["comment"])
        say("person", f"says yes ({lines['comment']!r}): {outcome.status}")


async def at_terminal(prompt: ConsolePrompt, say: Say) -> None:
    """Show the prompt and ask field by field, until it is answered."""
    terminal = Terminal(paper())
    terminal.paper.line()
    write_sheet(terminal.paper, prompt, now())
    while (outcome := await settle(prompt, terminal, by_console(prompt))) is None:
        terminal.paper.line("the demo waits for this one; Ctrl-C ends it", "warning")
    say("person", taken(outcome))
