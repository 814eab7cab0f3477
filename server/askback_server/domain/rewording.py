"""AskPrompt with other content under an existing key: amends an open prompt, or rewords a closed one."""

from __future__ import annotations

from askback_server.domain.aggregate import Change
from askback_server.domain.commands import AskPrompt
from askback_server.domain.content import PromptContent
from askback_server.domain.ended_delegations import end_delegations, not_allowed, outside
from askback_server.domain.errors import IdReused, InvalidField
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import exclude_people
from askback_server.domain.jobs import JobState
from askback_server.domain.json_text import JsonObject
from askback_server.domain.life import move
from askback_server.domain.nudges import first_nudges
from askback_server.domain.prompts import Prompt
from askback_server.domain.replies import PromptAsked
from askback_server.domain.rule_answers import consult_rules, name_routes, settle_asked
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.transitions import JobTrigger
from askback_server.domain.vote_documents import shortfalls_to_doc
from askback_server.domain.voting_rules import first_votes
from askback_server.domain.waiting import open_blocking


def accept_rewording(
    change: Change, known: Prompt, command: AskPrompt, content: PromptContent
) -> tuple[PromptAsked, Change | None]:
    """Keep the resolution of a closed prompt for other content, if the command marks it as the same question.

    Returns the reply and the change of a `RuleResult`. Raises IdReused without the mark.
    """
    if not command.same:
        message = (
            f"the key {command.key!r} belongs to a prompt that is {known.state} and was another question, "
            f"{known.content.title!r} (digest {known.digest}); now it is {content.title!r} (digest "
            f"{content.digest}). Use another key, or set `same` if it is the same question in other words"
        )
        raise IdReused("key", command.key, message, prompt_id=known.prompt_id, state=known.state)
    if known.content.approval != content.approval and known.asked_digest in ("", known.digest):
        message = (
            f"the key {command.key!r} belongs to a prompt that is {known.state} and needed another approval"
        )
        raise IdReused("key", command.key, message, prompt_id=known.prompt_id, state=known.state)
    if known.same_digest == content.digest:
        return PromptAsked(known, replayed=True), change if change.events else None
    move(change, JobTrigger.WRITE)
    note_rewording(change, known, known.digest, content.digest)
    return PromptAsked(change.put(evolve(known, same_digest=content.digest)), replayed=True), change


def note_rewording(change: Change, prompt: Prompt, answered: str, asked: str) -> None:
    """Record that the resolution of the digest `answered` is kept for the digest `asked`."""
    change.record(
        EventType.PROMPT_REWORDED,
        prompt.prompt_id,
        {"round": prompt.round, "key": prompt.key, "digest": answered, "asked_digest": asked},
    )


def amend(change: Change, known: Prompt, content: PromptContent) -> Prompt:
    """Replace the content of an open prompt. Answers to older revisions are STALE from now on."""
    now = change.facts.now
    consulted = consult_rules(change, known.key, content)
    content = exclude_people(change, known.key, consulted.content)
    if (given := known.content.delegations) is not None:
        content = content.delegate(given)
    if content.blocking:
        change.set(open_blocking=open_blocking(change) + (not known.content.blocking))
        move(change, JobTrigger.WAIT)
    else:
        change.set(open_blocking=max(0, change.job.open_blocking - known.content.blocking))
        waits_no_more = change.job.state is JobState.PENDING_HITL and not change.job.open_blocking
        move(change, JobTrigger.RESUME if waits_no_more else JobTrigger.WRITE)
    revision = known.revision + 1
    try:
        votes = first_votes(change, content, known.votes)
    except InvalidField as error:
        raise name_routes(error, consulted) from None
    data: JsonObject = {"round": known.round, "key": known.key, "revision": revision}
    data["digest"] = content.digest
    if votes is not None:
        data["shortfalls"] = shortfalls_to_doc(votes)
    amended = evolve(
        known,
        content=content,
        digest=content.digest,
        shown_digest=shown_digest(content),
        revision=revision,
        expires_at=now + content.timeout if content.timeout else None,
        nudges=first_nudges(content, now),
        votes=votes,
        asked_digest="",
    )
    if given is not None:
        over = outside(given, content.audience) + not_allowed(given, content)
        amended = end_delegations(amended, over, data)
    change.record(EventType.PROMPT_AMENDED, known.prompt_id, data)
    if content.excludes_author(known.claimed_by):
        amended = evolve(amended, claimed_by="", claimed_until=None)
    return settle_asked(change, amended, consulted)
