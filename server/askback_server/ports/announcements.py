"""Announcements: what a replica tells the others about a commit (docs/design.md 5).

An announcement says enough of a changed job to decide, without a read, whether a session of the receiver can
get the change: its namespace and type, whether it can be leased, which prompts changed, and for each of them
marks of what consoles filter by. Announcements speed delivery up and are never the truth: they may be lost,
delayed or repeated.

A mark is a short hash, so that a notification of the database contains no names of people, and its size is
bounded. Two texts with one hash cost a read that was not needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from zlib import crc32

MAX_MARKS = 40
"""Maximum number of marks of a prompt; one with more may concern any view."""


def mark(kind: str, text: str) -> str:
    """The mark of a property: `kind` says which, as `group` or `label`."""
    return f"{crc32(f'{kind} {text}'.encode()):08x}"


EVERYONE = mark("everyone", "")
"""The mark of a prompt without an audience."""


@dataclass(frozen=True, slots=True)
class AnnouncedPrompt:
    """A prompt that a commit changed."""

    prompt_id: str
    marks: frozenset[str] | None = None
    """What consoles filter by. None: any view of the job's type may show it, or may have shown it."""
    late: bool = False
    """Whether it received a late answer."""
    silent: bool = False
    """Whether only the holder's receipt was recorded, which no console shows."""

    def merge(self, newer: AnnouncedPrompt) -> AnnouncedPrompt:
        """Both changes as one."""
        unknown = self.marks is None or newer.marks is None
        return AnnouncedPrompt(
            self.prompt_id,
            None if unknown else newer.marks,
            self.late or newer.late,
            self.silent and newer.silent,
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """A job has changed: its events after the seq `after`, up to `seq`."""

    job_id: str
    after: int
    seq: int
    namespace: str = ""
    """Empty if nothing but the job and the seqs is known."""
    job_type: str = ""
    """Empty if it is not known."""
    ready_at: datetime | None = None
    """From when on the job can be leased; None if it cannot, or if it is not known."""
    freed: bool = False
    """Whether the job had a lease and does not run any more."""
    deleted: bool = False
    prompts: tuple[AnnouncedPrompt, ...] = ()

    @property
    def is_bare(self) -> bool:
        """Whether it says only that the job has changed."""
        return not self.namespace

    def merge(self, newer: Announcement) -> Announcement:
        """Both changes of the job as one."""
        after, seq = min(self.after, newer.after), max(self.seq, newer.seq)
        if self.is_bare or newer.is_bare:
            return Announcement(self.job_id, after, seq)
        if newer.seq < self.seq:
            return newer.merge(self)
        prompts = {p.prompt_id: p for p in self.prompts}
        for p in newer.prompts:
            prompts[p.prompt_id] = prompts[p.prompt_id].merge(p) if p.prompt_id in prompts else p
        freed, job_type = self.freed or newer.freed, newer.job_type if self.job_type else ""
        return replace(
            newer, after=after, seq=seq, job_type=job_type, freed=freed, prompts=tuple(prompts.values())
        )
