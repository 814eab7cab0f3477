"""Shows the votes on a prompt with what they propose, and lets a person vote like another one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from askback._model.approvals import Vote
from askback._model.prompts import PromptInfo
from askback._text.spans import when
from askback.terminal.author_words import author_words, rule_words
from askback.terminal.draft import Draft, write_diff, write_draft, write_values
from askback.terminal.keys import verb_of
from askback.terminal.prompt_form import form_of
from askback.terminal.short_questions import NO_UNLESS_YES, pick
from askback.terminal.terminal import Dialogue
from askback.terminal.vote_words import VOTING
from askback.terminal.writer import Writer


def write_votes(writer: Writer, prompt: PromptInfo, at: datetime, *, exact: bool = False) -> None:
    """Write each vote, with its comment, and what it proposes where it is the first one that does."""
    if not prompt.votes:
        return
    writer.line()
    writer.line("  Votes", "title")
    shown: dict[str, str] = {}
    for vote in prompt.votes:
        groups = f" ({', '.join(vote.groups)})" if vote.groups else ""
        time = f" {when(vote.at, at, exact=exact)}" if vote.at else ""
        first = shown.setdefault(vote.outcome, vote.by)
        proposes = bool(vote.edits or vote.values)
        like = f" like {first}" if proposes and first != vote.by else ""
        author = author_words(vote.by, vote.on_behalf_of)
        author += f" ({rule_words(vote.rule_id, vote.rule_revision)})" if vote.rule_id else ""
        writer.line(f"  - {author}{groups} {VOTING.get(vote.decision, verb_of(vote.decision))}{like}{time}")
        if vote.comment:
            writer.block(vote.comment, indent="    comment  ")
        if proposes and not like:
            _write_proposal(writer, prompt, vote)


def _write_proposal(writer: Writer, prompt: PromptInfo, vote: Vote) -> None:
    if vote.values:
        write_values(writer, form_of(prompt), vote.values, "    ")
    before = {content.content_id: content for content in prompt.contents}
    for content_id, text in vote.edits.items():
        content = before.get(content_id)
        name = content.title if content and content.title else content_id
        write_diff(writer, f"  {name}", content.text if content else "", text)


def draft_like(vote: Vote, comment: str = "") -> Draft:
    """An answer that decides the same as a vote."""
    return Draft(vote.decision, vote.values, vote.edits, comment)


async def ask_for_agreement(
    dialogue: Dialogue, prompt: PromptInfo, votes: Iterable[Vote], comment: str = ""
) -> Draft | None:
    """Ask whose vote to follow, if there are several, and whether to send it. Raises EOFError."""
    by_name = {vote.by.casefold(): vote for vote in votes}
    if not by_name:
        dialogue.writer.line("! no other person has voted", "warning")
        return None
    vote = next(iter(by_name.values()))
    if len(by_name) > 1:
        vote = await pick(dialogue, f"Like whom? ({', '.join(v.by for v in by_name.values())}) ", by_name)
    draft = draft_like(vote, comment)
    write_draft(dialogue.writer, prompt, draft)
    return draft if await pick(dialogue, f"Vote like {vote.by}? [y/N] ", NO_UNLESS_YES) else None
