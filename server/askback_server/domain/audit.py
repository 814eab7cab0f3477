"""Verifies what is stored of a job against the chain of its events.

Each function yields the faults in the order of the events, so the first one names the first wrong row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from askback_server.domain.chain import (
    ERASED,
    START,
    Document,
    digest_document,
    digest_personal,
    hash_event,
    time_text,
    unpack_documents,
)
from askback_server.domain.checkpoints import Head
from askback_server.domain.documents import parse_content
from askback_server.domain.events import Event, EventType
from askback_server.domain.routing_documents import audience_to_json
from askback_server.domain.shown_form import shown_digest

_SUBMITTED = frozenset({EventType.ANSWER_REFUSED, EventType.ANSWER_LATE})
_ENDED = frozenset(
    {
        EventType.PROMPT_ANSWERED,
        EventType.PROMPT_EXPIRED,
        EventType.PROMPT_CANCELLED,
        EventType.PROMPT_SUPERSEDED,
    }
)
_STATES = {
    EventType.PROMPT_ANSWERED: "ANSWERED",
    EventType.PROMPT_EXPIRED: "EXPIRED",
    EventType.PROMPT_CANCELLED: "CANCELLED",
    EventType.PROMPT_SUPERSEDED: "SUPERSEDED",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is not what the chain says."""

    table: str
    row: str
    """Its key, for people."""
    problem: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.table} ({self.row}): {self.problem}"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its link, as stored."""

    event: Event
    data: str
    """The text of its data; empty without any."""
    hash: bytes | None
    salt: bytes | None
    document_salt: bytes | None
    documents: bytes
    erased: bytes | None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """Everything that is stored of a job, rows as mappings by column name."""

    job_id: str
    job: Mapping[str, Any] | None
    """None: the job is deleted."""
    events: Sequence[StoredEvent]
    prompts: Sequence[Mapping[str, Any]] = ()
    answers: Sequence[Mapping[str, Any]] = ()
    checkpoints: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class Notes:
    """What could not be verified, and is no fault."""

    unlinked: int = 0
    """Events that a version without the chain wrote."""
    erased: int = 0
    """Events whose personal data was erased: they are proven without it."""


def verify_job(stored: StoredJob, notes: Notes, head: Head | None = None) -> Iterator[Fault]:
    """The faults of a job. `head` is the newest one of it that a checkpoint has."""
    if not stored.events:
        problem = "its events are missing" if stored.job is not None else "the job and its events are missing"
        yield Fault("job_events" if stored.job is not None else "jobs", stored.job_id, problem)
        return
    yield from _verify_chain(stored, notes)
    if head is not None:
        yield from _verify_head(stored, head)
    if stored.job is None:
        if stored.events[-1].event.type is not EventType.JOB_DELETED:
            yield Fault("jobs", stored.job_id, "the row is missing, and no event says that it was deleted")
        return
    recorded = _Recorded.of(stored.events)
    yield from _verify_prompts(stored, recorded)
    yield from _verify_answers(stored, recorded)
    yield from _verify_steps(stored, recorded)
    yield from _verify_row(stored, stored.job, recorded)


def _verify_chain(stored: StoredJob, notes: Notes) -> Iterator[Fault]:
    before, linked = START, False
    for number, each in enumerate(stored.events, 1):
        event = each.event
        row = _row(event)
        if event.seq != number:
            missing = f"{stored.job_id}, seq {number}"
            yield Fault("job_events", missing, f"the event is missing: seq {event.seq} comes instead")
            return
        if each.hash is None:
            notes.unlinked += 1
            if linked:
                yield Fault("job_events", row, "it has no hash, and the event before has one")
            continue
        linked = True
        if each.erased is not None:
            notes.erased += 1
            personal = each.erased
            if event.actor or each.data or each.salt is not None:
                yield Fault("job_events", row, "it was erased, and has an actor, data or a salt")
        elif each.salt is None:
            yield Fault("job_events", row, "its salt is missing")
            return
        else:
            personal = digest_personal(each.salt, event.actor, each.data)
        if hash_event(before, personal, each.documents, event, time_text(event.at)) != each.hash:
            yield Fault("job_events", row, "its hash is not that of its content and of the event before")
            return
        before = each.hash


def _verify_head(stored: StoredJob, head: Head) -> Iterator[Fault]:
    last = stored.events[-1]
    if head.seq > len(stored.events):
        row = f"{stored.job_id}, seq {len(stored.events) + 1}"
        yield Fault("job_events", row, f"the event is missing: a checkpoint has events up to seq {head.seq}")
    elif stored.events[head.seq - 1].hash != head.hash:
        row = f"{stored.job_id}, seq {head.seq}"
        yield Fault("job_events", row, "a checkpoint has another hash of this event")
    elif head.deleted and last.event.type is not EventType.JOB_DELETED:
        yield Fault("job_events", _row(last.event), "a checkpoint says that the job was deleted before")


@dataclass(slots=True)
class _Recorded:
    """What the events say of the rows of a job."""

    documents: dict[tuple[Document, str], tuple[StoredEvent, bytes]] = field(default_factory=dict)
    """By document and its owner (a prompt, a submission, a key): the newest event with its digest."""
    asked: dict[str, StoredEvent] = field(default_factory=dict)
    ended: dict[str, StoredEvent] = field(default_factory=dict)
    submitted: dict[int, StoredEvent] = field(default_factory=dict)
    by_seq: Mapping[int, StoredEvent] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Sequence[StoredEvent]) -> _Recorded:
        """What these events say."""
        found = cls(by_seq={each.event.seq: each for each in events})
        for each in events:
            event = each.event
            prompt_id = event.prompt_id or ""
            data = event.data or {}
            if event.type is EventType.PROMPT_ASKED:
                found.asked[prompt_id] = each
            elif event.type in _ENDED:
                found.ended[prompt_id] = each
            answered = event.type is EventType.PROMPT_ANSWERED and data.get("source") != "TIMEOUT_DEFAULT"
            if answered or event.type in _SUBMITTED:
                found.submitted[event.seq] = each
            for document, digest in unpack_documents(each.documents).items():
                owner = {Document.ANSWER: str(event.seq), Document.CHECKPOINT: str(data.get("key"))}
                if document in (Document.CONTENT, Document.RESOLUTION):
                    owner[document] = prompt_id
                found.documents[document, owner.get(document, "")] = each, digest
        return found

    def agrees(self, document: Document, owner: str, text: str | None) -> bool:
        """Whether a stored text is the one that the events recorded, or was erased as they say."""
        known = self.documents.get((document, owner))
        if known is None:
            return not text
        each, digest = known
        if each.document_salt is None:
            return text in (None, "", ERASED)
        return text is not None and digest_document(each.document_salt, text) == digest


def _verify_prompts(stored: StoredJob, recorded: _Recorded) -> Iterator[Fault]:
    rows = {row["interaction_id"]: row for row in stored.prompts}
    for prompt_id, asked in recorded.asked.items():
        row = rows.get(prompt_id)
        if row is None:
            yield Fault("hitl_interactions", prompt_id, f"the row is missing: {_row(asked.event)} asked it")
            continue
        if asked.hash is None:
            continue
        if not recorded.agrees(Document.CONTENT, prompt_id, row["prompt_data"]):
            yield Fault("hitl_interactions", prompt_id, "its content is not the one that was recorded")
        elif problem := _derived_fault(row):
            yield Fault("hitl_interactions", prompt_id, problem)
        ended = recorded.ended.get(prompt_id)
        state = _STATES[ended.event.type] if ended is not None else "PENDING"
        if row["status"] != state:
            yield Fault("hitl_interactions", prompt_id, f"it is {row['status']}, and its events say {state}")
        if not recorded.agrees(Document.RESOLUTION, prompt_id, row["response_data"]):
            yield Fault("hitl_interactions", prompt_id, "its resolution is not the one that was recorded")
    for prompt_id in rows.keys() - recorded.asked.keys():
        yield Fault("hitl_interactions", prompt_id, "no event says that it was asked")


def _derived_fault(row: Mapping[str, Any]) -> str:
    """What is wrong with the columns that are derived from the content; empty if they agree with it."""
    text: str = row["prompt_data"]
    wanted = None if text == ERASED else audience_to_json(parse_content(text))
    if json.loads(row["audience"] or "null") != json.loads(wanted or "null"):
        return "its audience is not that of its content"
    revision, _, digest = (row["shown_digest"] or "").partition(":")
    if text != ERASED and revision == str(row["revision"]) and digest != shown_digest(parse_content(text)):
        return "its digest of what was shown is not that of its content"
    return ""


def _verify_answers(stored: StoredJob, recorded: _Recorded) -> Iterator[Fault]:
    resolutions = {row["interaction_id"]: row["response_data"] or "" for row in stored.prompts}
    left = dict(recorded.submitted)
    for row in sorted(stored.answers, key=lambda row: int(row["seq"])):
        key = f"{row['interaction_id']}, {row['answer_id']}"
        each = left.pop(row["seq"], None)
        if each is None:
            yield Fault("hitl_answers", key, f"no event with seq {row['seq']} records it")
            continue
        if each.hash is None:
            continue
        event, data = each.event, each.event.data or {}
        verdict = "ACCEPTED" if event.type is EventType.PROMPT_ANSWERED else data.get("status", row["status"])
        named = data.get("answer_id", row["answer_id"])  # of an erased event neither is known
        found = row["interaction_id"], row["answer_id"], row["status"]
        if found != (event.prompt_id, named, verdict):
            yield Fault("hitl_answers", key, f"event {event.seq} records another answer or verdict")
        elif verdict != "ACCEPTED":
            if not recorded.agrees(Document.ANSWER, str(event.seq), row["answer"]):
                yield Fault("hitl_answers", key, "it is not the answer that was recorded")
        elif not _is_of(resolutions.get(row["interaction_id"], ""), row["answer"]):
            yield Fault("hitl_answers", key, "it is not the answer of its prompt's resolution")
    for each in left.values():
        if each.hash is not None and each.erased is None:
            yield Fault(
                "hitl_answers", str(each.event.prompt_id), f"the row of {_row(each.event)} is missing"
            )


_OWN_KEYS = {"state", "actor", "reason", "resolved_at"}
"""The keys that a resolution has in addition to those of its answer, which comes first."""


def _is_of(resolution: str, answer: str) -> bool:
    """Whether an answer is that of a resolution: the whole of its first part, or both are erased."""
    if resolution == answer == ERASED:
        return True
    if not resolution.startswith(answer[:-1] + ","):
        return False
    try:
        return set(json.loads("{" + resolution[len(answer) :])) == _OWN_KEYS
    except ValueError:
        return False


def _verify_steps(stored: StoredJob, recorded: _Recorded) -> Iterator[Fault]:
    rows = {row["key"]: row["value"] for row in stored.checkpoints}
    saved = {owner for document, owner in recorded.documents if document is Document.CHECKPOINT}
    for key in sorted(saved):
        if not recorded.agrees(Document.CHECKPOINT, key, rows.get(key)):
            problem = "it is not the value that was recorded" if key in rows else "the row is missing"
            yield Fault("job_checkpoints", f"{stored.job_id}, {key}", problem)


def _verify_row(stored: StoredJob, job: Mapping[str, Any], recorded: _Recorded) -> Iterator[Fault]:
    last = stored.events[-1]
    if job["version"] != last.event.seq:
        yield Fault(
            "jobs", stored.job_id, f"its version is {job['version']}, its newest event {last.event.seq}"
        )
    elif job["chain"] != last.hash:
        yield Fault("jobs", stored.job_id, "its chain is not the hash of its newest event")
    if job["status"] != last.event.state:
        yield Fault("jobs", stored.job_id, f"it is {job['status']}, its newest event says {last.event.state}")
    if stored.events[0].hash is not None and not recorded.agrees(Document.INPUT, "", job["input"]):
        yield Fault("jobs", stored.job_id, "its input is not the one that was recorded")
    if last.hash is not None and not recorded.agrees(Document.RESULT, "", job["result"]):
        yield Fault("jobs", stored.job_id, "its result is not the one that was recorded")


def _row(event: Event) -> str:
    return f"{event.job_id}, seq {event.seq}"
