"""Questions with few answers: any other text asks again, and an empty line never means yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from askback.terminal.terminal import Dialogue

T = TypeVar("T")

YES_OR_NO: Final = {"y": True, "yes": True, "n": False, "no": False}
"""For questions that end in [y/n]: a bare Enter asks again."""
NO_UNLESS_YES: Final = {**YES_OR_NO, "": False}
"""For questions that end in [y/N]: a bare Enter means no."""

KEEP: Final = {"y": "keep", "yes": "keep", "e": "edit", "edit": "edit", "n": "drop", "no": "drop"}
"""For input saved from an earlier try: keep it, edit it, or drop it."""


async def pick(dialogue: Dialogue, question: str, answers: Mapping[str, T]) -> T:
    """Ask until one of the words is typed, in any case, and return its value. Raises EOFError."""
    while True:
        word = (await dialogue.choose(question)).strip().casefold()
        if word in answers:
            return answers[word]
        known = ", ".join(name for name in answers if name)
        dialogue.writer.wrap(f"! type one of: {known}", "warning", "  ")


async def confirm_unseen(dialogue: Dialogue, unseen: Sequence[str]) -> bool:
    """Ask whether to go on although parts of the prompt were not shown. Raises EOFError."""
    if not unseen:
        return True
    dialogue.writer.line("! You have not been shown all of it:", "warning")
    for what in unseen:
        dialogue.writer.line(f"    {what}", "warning")
    return await pick(dialogue, "Say yes to what you have not seen? [y/N] ", NO_UNLESS_YES)
