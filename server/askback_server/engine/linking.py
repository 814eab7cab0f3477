"""Chains the events of a write by their hashes (domain/chain.py)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from os import urandom

from askback_server.domain.chain import SALT_BYTES, START, Document, Link, link_event
from askback_server.domain.documents import answer_to_json, content_to_json, dump, resolution_to_json
from askback_server.domain.events import Event, EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import Job
from askback_server.ports.storage import JobWrite


def new_salt() -> bytes:
    """A random salt."""
    return urandom(SALT_BYTES)


def link_events(write: JobWrite, before: Job | None, salt: Callable[[], bytes] = new_salt) -> None:
    """Give each event of a write its link, and the job the hash of the last one.

    `before` is the job before the write. The events of one command have one salt: they have one actor.
    """
    head = (before.chain if before is not None else b"") or START
    documents = _documents_by_seq(write, before)
    links: list[Link] = []
    for _, events in groupby(write.events, _COMMAND):
        salted = salt()
        for event in events:
            data = dump(event.data) if event.data else ""
            link = link_event(head, event, data, salted, documents.get(event.seq, ()))
            head = link.hash
            links.append(link)
    write.links = links
    write.job = evolve(write.job, chain=head)


_COMMAND = attrgetter("command_id")


def _documents_by_seq(write: JobWrite, before: Job | None) -> dict[int, list[tuple[Document, str]]]:
    """The documents that a write stores, by the event that records each.

    A row is written as its last image. So its document belongs to the last event of the write about its
    prompt, or of all.
    """
    found: dict[int, list[tuple[Document, str]]] = {}

    def add(seq: int, kind: Document, text: str) -> None:
        found.setdefault(seq, []).append((kind, text))

    last = write.events[-1].seq
    last_of = {event.prompt_id: event.seq for event in write.events if event.prompt_id is not None}
    for prompt in write.new_prompts.values():
        seq = last_of.get(prompt.prompt_id, last)
        add(seq, Document.CONTENT, content_to_json(prompt.content))
        if prompt.resolution is not None:
            add(seq, Document.RESOLUTION, resolution_to_json(prompt.resolution))
    for prompt, is_amended in write.changed_prompts.values():
        seq = last_of.get(prompt.prompt_id, last)
        if is_amended:
            add(seq, Document.CONTENT, content_to_json(prompt.content))
        if prompt.resolution is not None:
            add(seq, Document.RESOLUTION, resolution_to_json(prompt.resolution))
    for submission in write.submissions:
        add(submission.seq, Document.ANSWER, answer_to_json(submission.answer))
    for event in write.events if write.checkpoints else ():
        if event.type is EventType.CHECKPOINT_SAVED:
            _add_checkpoint(add, event, write)
    job = write.job
    if before is None and job.input_json:
        add(write.events[0].seq, Document.INPUT, job.input_json)
    if job.result_json and (before is None or job.result_json is not before.result_json):
        add(last, Document.RESULT, job.result_json)
    return found


def _add_checkpoint(add: Callable[[int, Document, str], None], event: Event, write: JobWrite) -> None:
    """Only the last value of a key is written, with the last event that names it."""
    key = (event.data or {}).get("key")
    later = (e for e in write.events if e.seq > event.seq and e.type is EventType.CHECKPOINT_SAVED)
    if not any((e.data or {}).get("key") == key for e in later):
        add(event.seq, Document.CHECKPOINT, write.checkpoints[str(key)].value_json)
