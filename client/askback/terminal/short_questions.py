"""Questions with few answers: what is none of them asks again, and an empty line is never a yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from askback.terminal.terminal import Dialogue

T = TypeVar("T")

YES_OR_NO: Final = {"y": True, "yes": True, "n": False, "no": False}
"""For questions that end in [y/n]: a bare Enter asks again."""
NO_UNLESS_YES: Final = {**YES_OR_NO, "": False}
"""For questions that end in [y/N]: a bare Enter is a no."""

KEEP: Final = {"y": "keep", "yes": "keep", "e": "edit", "edit": "edit", "n": "drop", "no": "drop"}
"""For what was typed before: keep it, edit it, or drop it."""


async def pick(dialogue: Dialogue, question: str, answers: Mapping[str, T]) -> T:
    """Ask until one of the words is typed, in any case; what it stands for. Raises EOFError."""
    while True:
        word = (await dialogue.choose(question)).strip().casefold()
        if word in answers:
            return answers[word]
        known = ", ".join(name for name in answers if name)
        dialogue.writer.line(f"! type one of: {known}", "warning")


async def confirm_unseen(dialogue: Dialogue, unseen: Sequence[str]) -> bool:
    """Whether the person goes on although they were not shown everything. Raises EOFError."""
    if not unseen:
        return True
    dialogue.writer.line("! You have not been shown all of it:", "warning")
    for what in unseen:
        dialogue.writer.line(f"    {what}", "warning")
    return await pick(dialogue, "Say yes to what you have not seen? [y/N] ", NO_UNLESS_YES)
