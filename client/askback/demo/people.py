"""Who answers in the demo: a person at the terminal, or a script where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from askback.console_prompt import ConsolePrompt
from askback.enums import DecisionKind
from askback.errors import AnswerInvalid

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


def clean(text: str) -> str:
    """Text of others, fit for a terminal: no control characters but line ends and tabs."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


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
    """Show the prompt and ask field by field; a refused answer is asked again."""
    print(f"\n  [{prompt.kind}] {clean(prompt.title)}")
    if prompt.body:
        print(_indented(prompt.body))
    for content in prompt.contents:
        print(f"\n  --- {clean(content.title or content.content_id)} ---")
        print(_indented(content.text or content.url))
    while True:
        decision = await _decision(prompt)
        values = await _values(prompt) if _has_form(prompt, decision) else None
        edits = await _edits(prompt) if decision is DecisionKind.EDIT else None
        comment = await _ask("  comment (Enter for none): ")
        try:
            outcome = await prompt.decide(decision, values=values, edits=edits, comment=comment)
        except AnswerInvalid as error:
            for violation in error.violations:
                print(f"  ! {violation.field}: {violation.description}")
            continue
        say("person", f"decided {decision}: {outcome.status}")
        return


def _indented(text: str) -> str:
    return "\n".join("  | " + line for line in clean(text).splitlines())


async def _ask(question: str) -> str:
    return (await asyncio.to_thread(input, question)).strip()


def _has_form(prompt: ConsolePrompt, decision: DecisionKind) -> bool:
    asks = decision in (DecisionKind.ACCEPT, DecisionKind.RESPOND, DecisionKind.EDIT)
    return asks and prompt.schema is not None


async def _decision(prompt: ConsolePrompt) -> DecisionKind:
    options = prompt.decisions
    if len(options) == 1:
        return options[0].decision
    menu = "  ".join(f"{i}) {clean(o.label)}" for i, o in enumerate(options, 1))
    while True:
        said = await _ask(f"\n  {menu}\n  your choice: ")
        if said.isdigit() and 1 <= int(said) <= len(options):
            return options[int(said) - 1].decision


async def _values(prompt: ConsolePrompt) -> dict[str, Any]:
    schema = prompt.schema or {}
    required = set(schema.get("required", ()))
    values: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        choices = field.get("enum") or [o["const"] for o in field.get("oneOf", ()) if "const" in o]
        hint = f" ({'/'.join(map(str, choices))})" if choices else ""
        optional = "" if name in required else ", Enter to skip"
        text = await _ask(f"  {clean(field.get('title', name))}{hint}{optional}: ")
        if text:
            values[name] = _typed(text, field.get("type", "string"))
    return values


def _typed(text: str, kind: str) -> Any:
    """The text as the schema's type, if it can be; the server judges."""
    if kind == "boolean":
        return {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}.get(
            text.lower(), text
        )
    if kind in ("integer", "number", "array", "object"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


async def _edits(prompt: ConsolePrompt) -> dict[str, str]:
    edits: dict[str, str] = {}
    for content in prompt.contents:
        if content.editable:
            print(f"  new text of {clean(content.title)}, ended by a line with a single dot:")
            lines: list[str] = []
            while (line := await asyncio.to_thread(input, "  > ")) != ".":
                lines.append(line)
            edits[content.content_id] = "\n".join(lines) + "\n"
    return edits
