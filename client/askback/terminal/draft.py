"""An answer before it is sent, and what was typed for it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback.terminal.fields import Entry, Group, Items, Variants, entries
from askback.terminal.keys import name_of
from askback.terminal.paper import Paper
from askback.terminal.reading import fits
from askback.terminal.showing import text_for


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is sent. `values` is the object that is sent; None: no form was asked."""

    decision: DecisionKind
    values: dict[str, Any] | None = None
    edits: dict[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass(slots=True)
class Typed:
    """What a person has typed for a prompt so far: offered again when the dialogue starts over."""

    box: dict[str, Any] = field(default_factory=dict)
    """Holds the values under `values`, as far as they were typed."""
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By content id: the text that was edited, and what became of it."""
    comment: str = ""
    decision: DecisionKind | None = None
    """Chosen before, and kept only where it authorises nothing."""

    @property
    def values(self) -> Any:
        """The values as far as they were typed; an empty dict for none."""
        return self.box.get("values", {})

    def __bool__(self) -> bool:
        return bool(self.values or self.edits or self.comment)

    def write(self, paper: Paper, prompt: PromptInfo) -> None:
        """Write all of it, so that nothing is lost even if the prompt has ended."""
        write_values(paper, entries(prompt), self.values)
        for content_id, (_, text) in self.edits.items():
            write_value(paper, content_id, text)
        if self.comment:
            write_value(paper, "comment", self.comment)


def write_draft(paper: Paper, prompt: PromptInfo, draft: Draft) -> None:
    """Write an answer as it would be sent, whole; of an edited text what changed."""
    label = next((o.label for o in prompt.decisions if o.decision is draft.decision), "")
    paper.line(name_of(draft.decision, label), "title")
    if draft.values is not None:
        write_values(paper, entries(prompt), draft.values)
    before = {content.content_id: content for content in prompt.contents}
    for content_id, text in draft.edits.items():
        content = before.get(content_id)
        write_diff(paper, (content and content.title) or content_id, content.text if content else "", text)
    if draft.comment:
        write_value(paper, "comment", draft.comment)


def write_values(paper: Paper, form: tuple[Entry, ...], values: Any, indent: str = "  ") -> None:
    """Write the values that a form's entries have."""
    for entry in form:
        if not entry.path:
            if values != {}:
                _write_entry(paper, entry, values, indent)
        elif isinstance(values, Mapping) and entry.key in values:
            _write_entry(paper, entry, values[entry.key], indent)


def _write_entry(paper: Paper, entry: Entry, value: Any, indent: str) -> None:
    """One value, what is within it below."""
    chosen = entry
    if isinstance(entry, Variants):
        chosen = next((variant for variant in entry.variants if fits(variant, value)), entry)
    if isinstance(chosen, Group) and not chosen.sequence and isinstance(value, Mapping):
        kind = f" ({chosen.title})" if chosen is not entry else ""
        paper.line(f"{indent}{entry.title}{kind}:")
        write_values(paper, chosen.fields, value, indent + "  ")
    elif isinstance(chosen, Items) and value:
        paper.line(f"{indent}{entry.title}:")
        named = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
        for name, item in named:
            paper.line(f"{indent}  {name}: {text_for(chosen.item, item)}")
    else:
        write_value(paper, entry.title, text_for(chosen, value) or "(empty)", indent)


def write_value(paper: Paper, name: str, text: str, indent: str = "  ") -> None:
    """A value, whole: on one line, or below its name if it has several."""
    if "\n" not in text.rstrip("\n"):
        paper.line(f"{indent}{name}: {text}")
        return
    paper.line(f"{indent}{name}:")
    paper.block(text, indent=f"{indent}  | ")


def write_diff(paper: Paper, name: str, before: str, after: str) -> None:
    """What was changed in a text: how many lines, and the lines."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    paper.line(f"  {name}: +{added} -{removed} lines")
    for line in lines:
        style = {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "")
        paper.line(f"    {line}", style)
    if not lines and before != after:
        paper.line("    (only line ends changed)", "quiet")
