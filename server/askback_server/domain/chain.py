"""The hash chain of a job's events: each event has a hash of itself and of the hash before it.

So a changed, inserted or removed event, and a changed document of a prompt or answer, is found by
recomputing the chain (docs/adr/0058-events-are-chained-by-job.md; docs/reference/audit.md has the format).

Personal data enters a hash as a digest with a random salt, which is stored beside the event. Whoever clears
the data and the salt and keeps the digest leaves the chain intact, and nothing to guess the data by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from askback_server.domain.events import Event
from askback_server.domain.evolve import fast_init

START = bytes(32)
"""Stands for the hash before the first event of a job."""
SALT_BYTES = 16
_DOCUMENT_BYTES = 33
_VERSION = "askback.event.v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHA256 = hashlib.sha256()


class Document(IntEnum):
    """What the digest of an event's document is of. The numbers are stored and never change."""

    CONTENT = 1
    """`hitl_interactions.prompt_data`, the newest content of the event's prompt."""
    RESOLUTION = 2
    """`hitl_interactions.response_data`, how the event's prompt ended."""
    ANSWER = 3
    """`hitl_answers.answer`, the submission that this event records."""
    INPUT = 4
    """`jobs.input`."""
    RESULT = 5
    """`jobs.result`."""
    CHECKPOINT = 6
    """`job_checkpoints.value` of the key that the event names."""


@fast_init
@dataclass(frozen=True, slots=True)
class Link:
    """What is stored with an event for the chain."""

    hash: bytes
    """SHA-256, 32 bytes."""
    salt: bytes
    documents: bytes
    """The documents written with the event, 33 bytes each: the number of the Document, and the salted digest
    of its text."""
    data: str
    """The event's data as stored; empty without any."""


def sha256(data: bytes) -> bytes:
    """SHA-256 of bytes. Copies an empty one, because OpenSSL finds the algorithm by its name."""
    digest = _SHA256.copy()
    digest.update(data)
    return digest.digest()


def pack_documents(salt: bytes, documents: Sequence[tuple[Document, str]]) -> bytes:
    """The documents of an event, each with its text as stored, as `Link.documents`."""
    return b"".join(bytes((kind,)) + digest_document(salt, text) for kind, text in documents)


def unpack_documents(packed: bytes) -> Mapping[int, bytes]:
    """The digest of each document in `Link.documents`, by its number. Raises ValueError."""
    if len(packed) % _DOCUMENT_BYTES:
        raise ValueError("the digests of documents are damaged")
    starts = range(0, len(packed), _DOCUMENT_BYTES)
    return {packed[at]: packed[at + 1 : at + _DOCUMENT_BYTES] for at in starts}


def digest_document(salt: bytes, text: str) -> bytes:
    """The salted digest of a document's text as stored."""
    return sha256(salt + text.encode())


def digest_personal(salt: bytes, actor: str, data: str) -> bytes:
    """The salted digest of the parts of an event that erasure may clear: its actor and its data."""
    return sha256(salt + f"{len(actor)}\n{actor}{data}".encode())


def hash_event(before: bytes, personal: bytes, documents: bytes, event: Event) -> bytes:
    """The hash of an event: of the hash before it, its digests, and its fields that erasure keeps.

    `personal` is its `digest_personal`.
    """
    fields = (
        f"{_VERSION}\n{event.job_id}\n{event.seq}\n{event.type}\n{(event.at - _EPOCH) // _MICROSECOND}\n"
        f"{event.state}\n{event.namespace}\n{event.command_id}\n{event.prompt_id or ''}"
    )
    count = len(documents) // _DOCUMENT_BYTES
    return sha256(b"".join((before, personal, bytes((count,)), documents, fields.encode())))


def link_event(
    before: bytes, event: Event, data: str, salt: bytes, documents: Sequence[tuple[Document, str]] = ()
) -> Link:
    """The link of an event whose predecessor has the hash `before`. `data` is its data as stored."""
    packed = pack_documents(salt, documents) if documents else b""
    personal = digest_personal(salt, event.actor, data)
    return Link(hash_event(before, personal, packed, event), salt, packed, data)
