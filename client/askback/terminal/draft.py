"""An answer before it is sent, and the input that is saved for the next try."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback.terminal.fields import Entry, Items, Variants, is_object
from askback.terminal.keys import name_of
from askback.terminal.prompt_form import form_of
from askback.terminal.value_parser import fits
from askback.terminal.value_text import text_for
from askback.terminal.writer import Writer


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is sent. `values` is the form's values as an object; None if no form was asked."""

    decision: DecisionKind
    values: dict[str, Any] | None = None
    edits: dict[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass(slots=True)
class SavedInput:
    """The input of a person for a prompt so far, which is offered again when the dialogue starts over."""

    root: dict[str, Any] = field(default_factory=dict)
    """A dict that holds the values typed so far under `values`, where the form filler sets them in place."""
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By content id: the original text, and the edited one."""
    comment: str = ""
    decision: DecisionKind | None = None
    """The decision chosen before; stored only for RESPOND, which authorises nothing."""

    @property
    def values(self) -> Any:
        """The values typed so far; an empty dict if there are none."""
        return self.root.get("values", {})

    def __bool__(self) -> bool:
        return bool(self.values or self.edits or self.comment)

    def write(self, writer: Writer, prompt: PromptInfo) -> None:
        """Write all of it, so that the person can copy it even if the prompt has ended."""
        write_values(writer, form_of(prompt), self.values)
        for content_id, (_, text) in self.edits.items():
            write_value(writer, content_id, text)
        if self.comment:
            write_value(writer, "comment", self.comment)


def write_draft(writer: Writer, prompt: PromptInfo, draft: Draft) -> None:
    """Write a draft in full, but an edited text as a diff."""
    label = next((o.label for o in prompt.decisions if o.decision is draft.decision), "")
    writer.line(name_of(draft.decision, label), "title")
    if draft.values is not None:
        write_values(writer, form_of(prompt), draft.values)
    before = {content.content_id: content for content in prompt.contents}
    for content_id, text in draft.edits.items():
        content = before.get(content_id)
        write_diff(writer, (content and content.title) or content_id, content.text if content else "", text)
    if draft.comment:
        write_value(writer, "comment", draft.comment)


def write_values(writer: Writer, form: Entry | None, values: Any, indent: str = "  ") -> None:
    """Write the values of a form; last those of fields that conditions hide."""
    if is_object(form) and isinstance(values, Mapping):
        shown = {entry.key: entry for entry in form.fields_for(values)}
        hidden = {entry.key: entry for entry in form.fields if entry.key not in shown}
        for name, entry in (shown | hidden).items():
            if name in values:
                _write_entry(writer, entry, values[name], indent)
    elif form is not None and values != {}:
        _write_entry(writer, form, values, indent)


def _write_entry(writer: Writer, entry: Entry, value: Any, indent: str) -> None:
    """Write one value, and nested values below it."""
    chosen = entry
    if isinstance(entry, Variants):
        chosen = next((variant for variant in entry.variants if fits(variant, value)), entry)
    if is_object(chosen) and isinstance(value, Mapping):
        kind = f" ({chosen.title})" if chosen is not entry else ""
        writer.line(f"{indent}{entry.title}{kind}:")
        write_values(writer, chosen, value, indent + "  ")
    elif isinstance(chosen, Items) and value:
        writer.line(f"{indent}{entry.title}:")
        named = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
        for name, item in named:
            writer.line(f"{indent}  {name}: {text_for(chosen.item, item)}")
    else:
        write_value(writer, entry.title, text_for(chosen, value) or "(empty)", indent)


def write_value(writer: Writer, name: str, text: str, indent: str = "  ") -> None:
    """Write a value in full: beside its name, or below it if the text has several lines."""
    if "\n" not in text.rstrip("\n"):
        writer.line(f"{indent}{name}: {text}")
        return
    writer.line(f"{indent}{name}:")
    writer.block(text, indent=f"{indent}  | ")


def write_diff(writer: Writer, name: str, before: str, after: str) -> None:
    """Write the changes of a text: the number of added and removed lines, and the diff."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    writer.line(f"  {name}: +{added} -{removed} lines")
    for line in lines:
        style = {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "")
        writer.line(f"    {line}", style)
    if not lines and before != after:
        writer.line("    (only line ends changed)", "quiet")
