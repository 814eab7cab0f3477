"""Lets a person edit the contents of a prompt."""

from __future__ import annotations

from askback._model.prompts import Content, PromptInfo
from askback.terminal.draft import SavedInput
from askback.terminal.short_questions import KEEP, YES_OR_NO, pick
from askback.terminal.terminal import Dialogue, NoEditor, edit_in_place


async def edit_contents(dialogue: Dialogue, prompt: PromptInfo, saved: SavedInput) -> dict[str, str]:
    """Edit the prompt's editable contents. Return the texts that changed, by content id.

    A single editable text is opened at once; with several, the person says which to edit. The changed texts
    are also stored in `saved`.
    """
    editable = [content for content in prompt.contents if content.editable]
    edits: dict[str, str] = {}
    for content in editable:
        text = await _edit(dialogue, content, saved, alone=len(editable) == 1)
        if text is None:
            continue
        if text == content.text:
            if len(editable) > 1:  # for a single text the wizard says it
                dialogue.writer.line(f"{(content.title or content.content_id)!r} is unchanged", "quiet")
            continue
        edits[content.content_id] = text
        saved.edits[content.content_id] = (content.text, text)
    return edits


async def _edit(dialogue: Dialogue, content: Content, saved: SavedInput, *, alone: bool) -> str | None:
    """Edit one content. Return the new text; None if the person leaves it as it is."""
    name = content.title or content.content_id
    before, text = saved.edits.pop(content.content_id, (content.text, content.text))
    if text != content.text:
        if before != content.text:
            dialogue.writer.line(f"! {name!r} is not the text any more that you edited", "warning")
        match await pick(dialogue, f"Keep your {name!r}? [y]es, [e]dit it, [n]o: ", KEEP):
            case "keep":
                return text
            case "drop":
                return None
    elif not alone and not await pick(dialogue, f"Edit {name!r}? [y/n] ", YES_OR_NO):
        return None
    try:
        return await dialogue.edit_text(text, content.media_type)
    except NoEditor as error:
        dialogue.writer.line(f"! {error}; edit the text here", "warning")
        return await edit_in_place(dialogue, text)
    except OSError as error:
        dialogue.writer.line(f"! {error}", "warning")
        return None
