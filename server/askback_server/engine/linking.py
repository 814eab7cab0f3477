"""Chains the events of a write by their hashes (domain/chain.py)."""

from __future__ import annotations

from collections import defaultdict
from os import urandom

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
from askback_server.domain.events import EventType
from askback_server.domain.evolve import complete
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.storage import BadData, JobWrite


def link_events(write: JobWrite, before: Job | None) -> None:
    """Give each event of a write its link, and the job the hash of the last one.

    `before` is the job before the write. The events of one command have one salt: they have one actor.
    Raises BadData for a text that cannot be encoded.
    """
    try:
        _link_events(write, before)
    except UnicodeEncodeError as error:
        raise BadData(str(error)) from error


def _link_events(write: JobWrite, before: Job | None) -> None:
    head = (before.chain if before is not None else b"") or START
    documents = _documents_by_seq(write, before)
    links: list[Link] = []
    command_id, salt = "", b""
    at, time = None, ""
    for event in write.events:
        if event.command_id != command_id:
            command_id, salt = event.command_id, urandom(SALT_BYTES)
        if event.at is not at:
            at, time = event.at, time_text(event.at)
        data = dump(event.data) if event.data else ""
        personal = digest_personal(salt, event.actor, data)
        packed = b""
        if found := documents.get(event.seq):
            packed = b"".join([pack_document(kind, salt, text) for kind, text in found])
        head = hash_event(head, personal, packed, event, time)
        links.append(Link(head, salt, packed, data))
    write.links = links
    complete(write.job, chain=head)


def _documents_by_seq(write: JobWrite, before: Job | None) -> dict[int, list[tuple[Document, str]]]:
    """The documents that a write stores, by the seq of the event that records each.

    A row is written as its last image. So its document belongs to the last event of the write about its
    prompt, or of all. An accepted answer is the beginning of its prompt's resolution.
    """
    found: defaultdict[int, list[tuple[Document, str]]] = defaultdict(list)
    if write.new_prompts or write.changed_prompts:
        last_of = {event.prompt_id: event.seq for event in write.events}
        for prompt in write.new_prompts.values():
            found[last_of[prompt.prompt_id]].append((Document.CONTENT, content_to_json(prompt.content)))
            if prompt.resolution is not None:
                text = resolution_to_json(prompt.resolution)
                found[last_of[prompt.prompt_id]].append((Document.RESOLUTION, text))
        for prompt, is_amended in write.changed_prompts.values():
            if is_amended:
                found[last_of[prompt.prompt_id]].append((Document.CONTENT, content_to_json(prompt.content)))
            if prompt.resolution is not None:
                text = resolution_to_json(prompt.resolution)
                found[last_of[prompt.prompt_id]].append((Document.RESOLUTION, text))
    for submission in write.submissions:
        if submission.status is not AnswerStatus.ACCEPTED:
            found[submission.seq].append((Document.ANSWER, answer_to_json(submission.answer)))
    if write.checkpoints:
        keys = {e.data["key"]: e.seq for e in write.events if e.type is EventType.CHECKPOINT_SAVED and e.data}
        for key, checkpoint in write.checkpoints.items():
            found[keys[key]].append((Document.CHECKPOINT, checkpoint.value_json))
    job = write.job
    if before is None:
        if job.input_json:
            found[write.events[0].seq].append((Document.INPUT, job.input_json))
        if job.result_json:
            found[write.events[-1].seq].append((Document.RESULT, job.result_json))
    elif job.result_json is not before.result_json and job.result_json:
        found[write.events[-1].seq].append((Document.RESULT, job.result_json))
    return found
