"""An answer before it is sent, and what was typed for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from askback.enums import DecisionKind
from askback.prompts import PromptInfo
from askback.terminal.fields import entries, flat
from askback.terminal.paper import Paper
from askback.terminal.reading import nested, shown


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is sent. `values` are by path; None: no form was asked."""

    decision: DecisionKind
    values: dict[tuple[str, ...], Any] | None = None
    edits: dict[str, str] = field(default_factory=dict)
    comment: str = ""

    @property
    def object(self) -> dict[str, Any] | None:
        """The values as they are sent."""
        return None if self.values is None else nested(self.values)


@dataclass(slots=True)
class Typed:
    """What a person has typed for a prompt so far: offered again when the dialogue starts over."""

    values: dict[tuple[str, ...], Any] = field(default_factory=dict)
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By content id: the text that was edited, and what became of it."""
    comment: str = ""
    decision: DecisionKind | None = None
    """Chosen before, and kept only where it authorises nothing."""

    def write(self, paper: Paper, prompt: PromptInfo) -> None:
        """Write all of it, so that nothing is lost even if the prompt has ended."""
        for item in flat(entries(prompt)):
            if item.path in self.values:
                write_value(paper, item.title, shown(item, self.values[item.path]))
        for content_id, (_, text) in self.edits.items():
            write_value(paper, content_id, text)
        if self.comment:
            write_value(paper, "comment", self.comment)


def write_draft(paper: Paper, prompt: PromptInfo, draft: Draft) -> None:
    """Write an answer as it would be sent, whole."""
    label = next((o.label for o in prompt.decisions if o.decision is draft.decision), "")
    paper.line(f"{label or draft.decision} ({draft.decision})", "title")
    for item in flat(entries(prompt)):
        if draft.values is not None and item.path in draft.values:
            write_value(paper, item.title, shown(item, draft.values[item.path]))
    for content_id, text in draft.edits.items():
        paper.line(f"  {content_id}: {len(text.splitlines())} new lines")
    if draft.comment:
        write_value(paper, "comment", draft.comment)


def write_value(paper: Paper, name: str, text: str) -> None:
    """A value, whole: on one line, or below its name if it has several."""
    if "\n" not in text.rstrip("\n"):
        paper.line(f"  {name}: {text}")
        return
    paper.line(f"  {name}:")
    paper.block(text, indent="    | ")
