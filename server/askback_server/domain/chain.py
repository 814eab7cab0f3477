"""The hash chain of a job's events: each event has a hash of itself and of the hash before it.

So a changed, inserted or removed event, and a changed document of a prompt or answer, is found by
recomputing the chain (docs/adr/0058-events-are-chained-by-job.md; docs/audit.md has the format).

Personal data enters a hash as a digest with a random salt, which is stored beside the event. Clearing the
data and the salt and keeping the digest leaves the chain intact, and nothing to guess the data by. What was
cleared must be empty, so that an erasure cannot put something else in its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from askback_server.domain.events import Event
from askback_server.domain.evolve import fast_init

ERASED = '{"erased":true}'
"""What is stored in place of a document that was erased."""
START = bytes(32)
"""Stands for the hash before the first event of a job."""
SALT_BYTES = 16
_VERSION = "askback.event.v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHA256 = hashlib.sha256()


class Document(bytes, Enum):
    """What the digest of an event's document is of. The values are stored and never change."""

    CONTENT = b"\x01"
    """`hitl_interactions.prompt_data`, the newest content of the event's prompt."""
    RESOLUTION = b"\x02"
    """`hitl_interactions.response_data`, how the event's prompt ended."""
    ANSWER = b"\x03"
    """`hitl_answers.answer`, the submission that this event records."""
    INPUT = b"\x04"
    """`jobs.input`, as the creator sent it."""
    RESULT = b"\x05"
    """`jobs.result`, as the worker sent it."""
    CHECKPOINT = b"\x06"
    """`job_checkpoints.value` of the key that the event names."""


_DOCUMENT_BYTES = 33


@fast_init
@dataclass(frozen=True, slots=True)
class Link:
    """What is stored with an event for the chain."""

    hash: bytes
    """SHA-256, 32 bytes."""
    salt: bytes
    """Of the actor and the data."""
    document_salt: bytes
    """Of the documents; empty without any."""
    documents: bytes
    """The documents written with the event, 33 bytes each: the Document, and the salted digest of its
    text."""
    data: str
    """The event's data as stored; empty without any."""


def _sha256(data: bytes) -> bytes:
    digest = _SHA256.copy()  # OpenSSL finds the algorithm of a new one by its name, which takes as long
    digest.update(data)
    return digest.digest()


def pack_document(kind: Document, salt: bytes, text: str) -> bytes:
    """A document of an event, with its text as stored, as an entry of `Link.documents`."""
    return kind + digest_document(salt, text)


def unpack_documents(packed: bytes) -> Mapping[Document, bytes]:
    """The digest of each document in `Link.documents`. Raises ValueError."""
    entries = (packed[at : at + _DOCUMENT_BYTES] for at in range(0, len(packed), _DOCUMENT_BYTES))
    return {Document(entry[:1]): entry[1:] for entry in entries}


def digest_document(salt: bytes, text: str) -> bytes:
    """The salted digest of a document's text as stored."""
    return _sha256(salt + text.encode())


def digest_personal(salt: bytes, actor: str, data: str) -> bytes:
    """The salted digest of the parts of an event that erasure may clear: its actor and its data as stored."""
    return _sha256(salt + f"{len(actor)}\n{actor}{data}".encode())


def time_text(at: datetime) -> str:
    """The time of an event as it enters the hash: microseconds since 1970."""
    since = at - _EPOCH
    return str((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def hash_event(before: bytes, personal: bytes, documents: bytes, event: Event, time: str) -> bytes:
    """The hash of an event: of the hash before it, its digests, and its fields that erasure keeps.

    `personal` is its `digest_personal`, `time` its `time_text`.
    """
    fields = "\n".join(
        (
            _VERSION,
            event.job_id,
            str(event.seq),
            event.type,
            time,
            event.state,
            event.namespace,
            event.command_id,
            event.prompt_id or "",
            str(len(documents)),
        )
    )
    return _sha256(before + personal + fields.encode() + documents)
