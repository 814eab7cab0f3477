"""Edits of the texts that a prompt shows."""

from __future__ import annotations

from askback._model.prompts import Content, PromptInfo
from askback.terminal.asking import KEEP, YES_OR_NO, pick
from askback.terminal.draft import Typed
from askback.terminal.terminal import Dialogue, NoEditor, rewrite_in_place


async def edit_contents(dialogue: Dialogue, prompt: PromptInfo, typed: Typed) -> dict[str, str]:
    """The new texts by content id; what is not changed is not among them. `typed` keeps them.

    The only text that may be edited is edited at once; of several the person says which.
    """
    editable = [content for content in prompt.contents if content.editable]
    edits: dict[str, str] = {}
    for content in editable:
        text = await _edited(dialogue, content, typed, alone=len(editable) == 1)
        if text is None:
            continue
        if text == content.text:
            if len(editable) > 1:  # of the only one the wizard says so
                dialogue.paper.line(f"{(content.title or content.content_id)!r} is unchanged", "quiet")
            continue
        edits[content.content_id] = text
        typed.edits[content.content_id] = (content.text, text)
    return edits


async def _edited(dialogue: Dialogue, content: Content, typed: Typed, *, alone: bool) -> str | None:
    """The content's new text; None if it stays."""
    name = content.title or content.content_id
    before, text = typed.edits.pop(content.content_id, (content.text, content.text))
    if text != content.text:
        if before != content.text:
            dialogue.paper.line(f"! {name!r} is not the text any more that you edited", "warning")
        match await pick(dialogue, f"Keep your {name!r}? [y]es, [e]dit it, [n]o: ", KEEP):
            case "keep":
                return text
            case "drop":
                return None
    elif not alone and not await pick(dialogue, f"Edit {name!r}? [y/n] ", YES_OR_NO):
        return None
    try:
        return await dialogue.rewrite(text, content.media_type)
    except NoEditor as error:
        dialogue.paper.line(f"! {error}; edit the text here", "warning")
        return await rewrite_in_place(dialogue, text)
    except OSError as error:
        dialogue.paper.line(f"! {error}", "warning")
        return None
