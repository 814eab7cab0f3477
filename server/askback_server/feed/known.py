"""Which changes of other replicas are decided here: delivered, or found to concern no session."""

from __future__ import annotations

from collections.abc import Iterable

from askback_server.engine.commit_bus import CommitBus
from askback_server.ports.announcements import Announcement
from askback_server.ports.storage import Changed


class KnownChanges:
    """The newest decided version of each job, which the bus remembers, and the gaps below it."""

    def __init__(self, bus: CommitBus) -> None:
        self._bus = bus
        self._gaps: dict[str, int] = {}
        """Jobs of which a newer change was decided than the one before it, with the seq up to which changes
        may be missing: a local commit on top of another replica's, or an announcement after a lost one. The
        log ends a gap."""

    def has(self, job_id: str, after: int, seq: int) -> bool:
        """Whether the changes of a job after one seq and up to another are decided."""
        return self._bus.version_of(job_id) >= seq and self._gaps.get(job_id, 0) <= after

    def note(self, job_id: str, after: int, seq: int) -> None:
        """Note that the changes of a job after one seq and up to another are decided."""
        if after > self._bus.version_of(job_id):
            self._gaps[job_id] = max(after, self._gaps.get(job_id, 0))
        self._bus.note_version(job_id, seq)

    def retract(self, changes: Iterable[Announcement]) -> None:
        """Note that decided changes could not be delivered: the log brings them again."""
        for change in changes:
            self._gaps[change.job_id] = max(change.seq, self._gaps.get(change.job_id, 0))

    def note_log(self, changes: Iterable[Changed]) -> None:
        """Note that the log has been delivered up to these changes."""
        for change in changes:
            if self._gaps.get(change.job_id, change.seq + 1) <= change.seq:
                del self._gaps[change.job_id]
