"""Verifies what is stored of a job against the chain of its events.

Each function yields the faults in the order of the events, so the first one names the first wrong row.
"""

from __future__ import annotations

from collections.abc import Iterator

from askback_server.domain.audit_rows import verify_rows
from askback_server.domain.chain import SALT_BYTES, START, digest_personal, hash_event, time_text
from askback_server.domain.checkpoints import Head
from askback_server.domain.events import EventType
from askback_server.domain.stored_jobs import Fault, Notes, StoredEvent, StoredJob, row_of


def verify_job(stored: StoredJob, notes: Notes, head: Head | None = None) -> Iterator[Fault]:
    """The faults of a job. `head` is the newest one of it that a checkpoint has."""
    try:
        yield from _verify_job(stored, notes, head)
    except Exception as error:  # the rows may contain anything, and one must not keep others from being named
        problem = f"its rows cannot be verified: {type(error).__name__}: {error}"
        yield Fault("jobs", stored.job_id, problem)


def _verify_job(stored: StoredJob, notes: Notes, head: Head | None) -> Iterator[Fault]:
    if stored.unreadable is not None:
        yield stored.unreadable
        return
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
    yield from verify_rows(stored, stored.job, notes)


def _verify_chain(stored: StoredJob, notes: Notes) -> Iterator[Fault]:
    before: bytes | None = START
    linked, start = False, 1
    first = stored.events[0].event.seq
    if first > 1 and stored.is_deleted:  # its first days are dropped, because no job needs them
        before, start = None, first
    for number, each in enumerate(stored.events, start):
        event = each.event
        row = row_of(event)
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
        if problem := _length_fault(each):
            yield Fault("job_events", row, problem)
            return
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
        if before is not None:
            wanted = hash_event(before, personal, each.documents, event, time_text(event.at))
            if wanted != each.hash:
                yield Fault("job_events", row, "its hash is not that of its content and of the event before")
                return
        before = each.hash


def _length_fault(each: StoredEvent) -> str:
    """Salts and hashes have fixed lengths: else bytes could move between a salt and the text after it."""
    lengths = (
        ("hash", each.hash, 32),
        ("salt", each.salt, SALT_BYTES),
        ("document salt", each.document_salt, SALT_BYTES),
        ("digest of what was erased", each.erased, 32),
    )
    for name, value, length in lengths:
        if value is not None and len(value) != length:
            return f"its {name} has {len(value)} bytes instead of {length}"
    return ""


def _verify_head(stored: StoredJob, head: Head) -> Iterator[Fault]:
    last = stored.events[-1]
    covered = next((each for each in stored.events if each.event.seq == head.seq), None)
    row = f"{stored.job_id}, seq {head.seq}"
    if covered is None and not (stored.is_deleted and head.seq < stored.events[0].event.seq):
        seq = min(head.seq, last.event.seq + 1)
        missing = f"{stored.job_id}, seq {seq}"
        problem = f"the event is missing: a checkpoint has events up to seq {head.seq}"
        yield Fault("job_events", missing, problem)
    elif covered is not None and covered.hash != head.hash:
        yield Fault("job_events", row, "a checkpoint has another hash of this event")
    elif head.deleted and last.event.type is not EventType.JOB_DELETED:
        yield Fault("job_events", row_of(last.event), "a checkpoint says that the job was deleted before")
