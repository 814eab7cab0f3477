"""Chains the events of a write by their hashes (domain/chain.py)."""

from __future__ import annotations

from os import urandom

from pydantic_core import PydanticSerializationError

from askback_server.domain.chain import (
    SALT_BYTES,
    START,
    Document,
    Link,
    digest_personal,
    hash_event,
    pack_document,
    time_text,
)
from askback_server.domain.documents import answer_to_json, content_to_json, dump, resolution_to_json
from askback_server.domain.events import PROMPT_STATES, EventType
from askback_server.domain.evolve import complete
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.storage import BadData, JobWrite

_CLOSING = PROMPT_STATES.keys() - {EventType.PROMPT_ASKED}


def link_events(write: JobWrite, before: Job | None) -> None:
    """Give each event of a write its link, and the job the hash of the last one.

    `before` is the job before the write. The events of one command have one salt, because they have one
    actor, and one for their documents, which can be erased without the actor.
    Raises BadData for a text that cannot be encoded.
    """
    try:
        _link_events(write, before)
    except (UnicodeEncodeError, PydanticSerializationError) as error:
        raise BadData(str(error)) from error


def _link_events(write: JobWrite, before: Job | None) -> None:
    head = (before.chain if before is not None else b"") or START
    documents = _documents_by_seq(write, before)
    links: list[Link] = []
    command_id, salt, document_salt = "", b"", b""
    at, time = None, ""
    for event in write.events:
        if event.command_id != command_id:
            command_id, random = event.command_id, urandom(2 * SALT_BYTES)
            salt, document_salt = random[:SALT_BYTES], random[SALT_BYTES:]
        if event.at is not at:
            at, time = event.at, time_text(event.at)
        data = dump(event.data) if event.data else ""
        personal = digest_personal(salt, event.actor, data)
        packed = b""
        if found := documents.get(event.seq):
            packed = b"".join([pack_document(kind, document_salt, text) for kind, text in found])
        head = hash_event(head, personal, packed, event, time)
        links.append(Link(head, salt, document_salt if packed else b"", packed, data))
    write.links = links
    complete(write.job, chain=head)


def _documents_by_seq(write: JobWrite, before: Job | None) -> dict[int, list[tuple[Document, str]]]:
    """The documents that a write stores, by the seq of the event that records each.

    A row is written as its last image. So its document belongs to the last event of the write about its
    prompt, or of all. An accepted answer is the beginning of its prompt's resolution.
    """
    found: dict[int, list[tuple[Document, str]]] = {}
    events = write.events
    if write.new_prompts or write.changed_prompts:
        last_of = {event.prompt_id: event.seq for event in events}
        closed = {event.prompt_id for event in events if event.type in _CLOSING}
        images = [(prompt, True) for prompt in write.new_prompts.values()]
        for prompt, is_written in (*images, *write.changed_prompts.values()):
            documents = found.setdefault(last_of[prompt.prompt_id], [])
            if is_written:
                documents.append((Document.CONTENT, content_to_json(prompt.content)))
            if prompt.prompt_id in closed and prompt.resolution is not None:
                documents.append((Document.RESOLUTION, resolution_to_json(prompt.resolution)))
    for submission in write.submissions:
        if submission.status is not AnswerStatus.ACCEPTED:
            documents = found.setdefault(submission.seq, [])
            documents.append((Document.ANSWER, answer_to_json(submission.answer)))
    if write.checkpoints:
        keys = {e.data["key"]: e.seq for e in events if e.type is EventType.CHECKPOINT_SAVED and e.data}
        for key, checkpoint in write.checkpoints.items():
            found.setdefault(keys[key], []).append((Document.CHECKPOINT, checkpoint.value_json))
    result = write.job.result_json
    if before is None and write.job.input_json:
        found.setdefault(events[0].seq, []).append((Document.INPUT, write.job.input_json))
    if result and (before is None or result is not before.result_json):
        found.setdefault(events[-1].seq, []).append((Document.RESULT, result))
    return found
