"""Which changes of other replicas are decided here: delivered, or found to concern no session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from askback_server.engine import commit_bus
from askback_server.engine.commit_bus import CommitBus
from askback_server.ports.announcements import Announcement
from askback_server.ports.storage import Changed


class KnownChanges:
    """The newest decided version of each job, which the bus remembers, and the gaps below it.

    Most changes are decided ahead of the log. Until the log confirms a version, the database may lose it in a
    failover, so it is kept here whether this replica has seen it or only an announcement says so.
    """

    def __init__(self, bus: CommitBus) -> None:
        self._bus = bus
        self._gaps: dict[str, int] = {}
        """Jobs of which a newer change was decided than the one before it, with the seq up to which changes
        may be missing: a local commit on top of another replica's, or an announcement after a lost one. The
        log ends a gap."""
        self._ahead: dict[str, int] = {}
        """The newest decided version of each job that the log has not confirmed (bounded)."""
        self._seen: dict[str, int] = {}
        """Of these jobs the newest version that this replica has committed or read (bounded)."""

    def has(self, job_id: str, after: int, seq: int) -> bool:
        """Whether the changes of a job after one seq and up to another are decided."""
        return self._bus.version_of(job_id) >= seq and self._gaps.get(job_id, 0) <= after

    def note(self, job_id: str, after: int, seq: int) -> None:
        """Note that the changes of a job after one seq and up to another are decided."""
        if after > self._bus.version_of(job_id):
            self._gaps[job_id] = max(after, self._gaps.get(job_id, 0))
        self._bus.note_version(job_id, seq)
        _raise(self._ahead, job_id, seq)

    def see(self, job_id: str, version: int) -> None:
        """Note that this replica has committed or read a version of a job which the log may not have yet."""
        _raise(self._seen, job_id, version)

    @property
    def seen(self) -> Mapping[str, int]:
        """By job: the newest version that this replica has committed or read, and the log not confirmed."""
        return self._seen

    def forget_announced(self) -> None:
        """Forget the versions of which there is only an announcement: if the database has them, the log
        brings them again."""
        for job_id, version in self._ahead.items():
            if self._seen.get(job_id, 0) < version:
                self._bus.forget_version(job_id)
        self._ahead = dict(self._seen)

    def correct(self, changes: Iterable[Changed]) -> None:
        """Forget the versions above those of the log that were only announced: a wrong one would hide every
        change below it. If one is right, the log brings it soon."""
        for change in changes:
            job_id = change.job_id
            if self._bus.version_of(job_id) > max(change.seq, self._seen.get(job_id, 0)):
                self._bus.forget_version(job_id)
                self._ahead.pop(job_id, None)

    def retract(self, changes: Iterable[Announcement]) -> None:
        """Note that decided changes could not be delivered: the log brings them again."""
        for change in changes:
            self._gaps[change.job_id] = max(change.seq, self._gaps.get(change.job_id, 0))

    def note_log(self, changes: Iterable[Changed]) -> None:
        """Note that the log has been delivered up to these changes."""
        for change in changes:
            for reached in (self._gaps, self._ahead, self._seen):
                if reached.get(change.job_id, change.seq + 1) <= change.seq:
                    del reached[change.job_id]


def _raise(versions: dict[str, int], job_id: str, version: int) -> None:
    versions[job_id] = max(version, versions.get(job_id, 0))
    if len(versions) > commit_bus.MAX_VERSIONS:
        del versions[next(iter(versions))]
