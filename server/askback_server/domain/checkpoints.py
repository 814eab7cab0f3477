"""Checkpoints over the chains of jobs: a signed list of the newest hash of each job that changed.

A chain shows that no event was changed. It does not show that its end was cut off, or that a job was deleted
with all its rows: a checkpoint does, because it names the job, the seq and the hash. Checkpoints of a
namespace are chained themselves (docs/adr/0058-events-are-chained-by-job.md).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from askback_server.domain.instants import iso_text

_ENTRY = struct.Struct(">16sq32s?")
_TYPE = "askback.checkpoint.v1"


class BadSigningKeys(ValueError):
    """The file of signing keys cannot be used. The message says what is wrong, and shows no key."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event of a job that a checkpoint covers."""

    job_id: str
    seq: int
    hash: bytes
    deleted: bool
    """Whether the event is the job's deletion: its rows may be gone."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The payload of a checkpoint's statement."""

    namespace: str
    number: int
    """1, 2, 3 … in each namespace."""
    at: datetime
    count: int
    """How many heads it has."""
    digest: str
    """SHA-256 of the packed heads, in hexadecimal."""
    previous: str
    """SHA-256 of the statement before, in hexadecimal; empty in the first."""

    def to_json(self) -> str:
        """The text that is signed."""
        fields = {
            "type": _TYPE,
            "namespace": self.namespace,
            "number": self.number,
            "at": iso_text(self.at),
            "count": self.count,
            "digest": self.digest,
            "previous": self.previous,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Checkpoint:
        """The checkpoint of a payload. Raises ValueError."""
        try:
            fields = json.loads(text)
            if fields.pop("type") != _TYPE:
                raise ValueError("it is not a checkpoint")
            return cls(**{**fields, "at": datetime.fromisoformat(fields["at"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not a checkpoint: {error}") from error


def make_checkpoint(
    namespace: str, heads: Iterable[Head], at: datetime, number: int, previous: str
) -> tuple[Checkpoint, bytes]:
    """A checkpoint and its packed heads. `previous` is the statement before, empty for the first."""
    listed = sorted(heads, key=lambda head: head.job_id)
    packed = pack_heads(listed)
    before = digest_of_bytes(previous.encode()) if previous else ""
    return Checkpoint(namespace, number, at, len(listed), digest_of_bytes(packed), before), packed


def digest_of_bytes(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pack_heads(heads: Iterable[Head]) -> bytes:
    """Heads as stored: 57 bytes each (job id, seq as 64-bit integer, hash, deleted)."""
    return b"".join(
        _ENTRY.pack(bytes.fromhex(h.job_id.replace("-", "")), h.seq, h.hash, h.deleted) for h in heads
    )


def unpack_heads(packed: bytes) -> Iterator[Head]:
    """The heads of a checkpoint. Raises ValueError."""
    try:
        for job_id, seq, hash, deleted in _ENTRY.iter_unpack(packed):
            yield Head(_id_of(job_id), seq, hash, deleted)
    except struct.error as error:
        raise ValueError("its list of jobs is damaged") from error


def _id_of(packed: bytes) -> str:
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
