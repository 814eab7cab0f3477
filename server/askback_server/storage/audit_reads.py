"""Reads for the verification of the audit: without a service, on a connection with one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from askback_server.domain.chain import unpack_documents
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.stored_jobs import Fault, StoredEvent, StoredJob
from askback_server.storage import rows
from askback_server.storage.checkpoint_table import audit_checkpoints
from askback_server.storage.migrate import read_snapshot
from askback_server.storage.schema import check_schema
from askback_server.storage.tables import answers, checkpoints, events, jobs, prompts

T = TypeVar("T")

JOBS_AT_ONCE = 100
"""Jobs whose rows are read together."""


def read_audit(url: str, work: Callable[[AuditReads], T]) -> T:
    """Run a function that reads a database as of one moment. Blocking. Raises StorageUnavailable."""

    def checked(connection: sa.Connection) -> T:
        if behind := check_schema(connection):
            raise StorageUnavailable(behind)
        return work(AuditReads(connection))

    return read_snapshot(url, checked)


class AuditReads:
    """Reads on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def job(self, job_id: str) -> StoredJob:
        """Everything of a job; without a row and events if nothing is stored."""
        return next(self._stored([job_id]))

    def namespace_of(self, job_id: str) -> str | None:
        """The namespace of a job that has a row or an event; None without."""
        for table in (jobs, events):
            found = self._all(sa.select(table.c.namespace).where(table.c.job_id == job_id).limit(1))
            if found:
                return str(found[0]["namespace"])
        return None

    def jobs_of(self, namespace: str) -> Iterator[StoredJob]:
        """All jobs of a namespace that have a row, by id."""
        after = ""
        while True:
            statement = sa.select(jobs.c.job_id).where(jobs.c.namespace == namespace)
            if after:
                statement = statement.where(jobs.c.job_id > after)
            found = [
                row["job_id"] for row in self._all(statement.order_by(jobs.c.job_id).limit(JOBS_AT_ONCE))
            ]
            if not found:
                return
            yield from self._stored(found)
            after = found[-1]

    def namespaces(self) -> Sequence[str]:
        """The namespaces that have jobs, events or checkpoints."""
        tables = (jobs, events, audit_checkpoints)
        found = sa.union(*(sa.select(table.c.namespace).distinct() for table in tables))
        return sorted(str(row["namespace"]) for row in self._all(found))

    def checkpoints_of(self, namespace: str) -> Iterator[tuple[int, datetime, str, bytes]]:
        """(number, time, statement, heads) of the checkpoints of a namespace, by number."""
        c, after = audit_checkpoints.c, -(1 << 63)
        while True:
            statement = sa.select(c.number, c.at, c.statement, c.heads).where(
                c.namespace == namespace, c.number > after
            )
            found = self._all(statement.order_by(c.number).limit(JOBS_AT_ONCE))
            if not found:
                return
            for row in found:
                yield row["number"], row["at"], row["statement"], row["heads"]
            after = found[-1]["number"]

    def jobs_without_row(self, namespace: str) -> Iterator[StoredJob]:
        """The jobs of a namespace of which only events are left."""
        there = sa.exists().where(jobs.c.job_id == events.c.job_id)
        alone = sa.select(events.c.job_id).distinct().where(events.c.namespace == namespace, sa.not_(there))
        for row in self._all(alone):
            yield self.job(row["job_id"])

    def _stored(self, job_ids: Sequence[str]) -> Iterator[StoredJob]:
        """Jobs with their rows. A job with a row that cannot be read keeps no other from being read."""
        try:
            read = list(self._read(job_ids))
        except Exception as error:  # of the driver or of a conversion: the rows may contain anything
            if len(job_ids) == 1:
                problem = f"its rows cannot be read: {str(error).splitlines()[0]}"
                yield StoredJob(job_ids[0], None, (), unreadable=Fault("jobs", job_ids[0], problem))
                return
            read = [stored for job_id in job_ids for stored in self._stored([job_id])]
        yield from read

    def _read(self, job_ids: Sequence[str]) -> Iterator[StoredJob]:
        found = {row["job_id"]: row for row in self._all(sa.select(jobs).where(jobs.c.job_id.in_(job_ids)))}
        log, asked, given, steps = (
            self._by_job(table, job_ids) for table in (events, prompts, answers, checkpoints)
        )
        now = datetime.now(UTC)
        for job_id in job_ids:
            try:
                rows = sorted(log.get(job_id, ()), key=lambda row: int(row["seq"]))
                linked = [_to_stored_event(row) for row in rows]
            except _Unreadable as error:
                yield StoredJob(job_id, None, (), unreadable=error.fault)
                continue
            job = found.get(job_id)
            purge_at = job["purge_at"] if job is not None else None
            yield StoredJob(
                job_id,
                job,
                linked,
                asked.get(job_id, ()),
                given.get(job_id, ()),
                steps.get(job_id, ()),
                is_being_deleted=purge_at is not None and purge_at <= now,
            )

    def _by_job(self, table: sa.Table, job_ids: Sequence[str]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for row in self._all(sa.select(table).where(table.c.job_id.in_(job_ids))):
            found.setdefault(row["job_id"], []).append(row)
        return found

    def _all(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        return self._connection.execute(statement).mappings().all()


class _Unreadable(Exception):
    """A row of an event cannot be read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _to_stored_event(row: Any) -> StoredEvent:
    linked = row["hash"], row["salt"], row["document_salt"], row["documents"] or b"", row["erased"]
    try:
        unpack_documents(linked[3])
        event = rows.to_event(row)
        if not isinstance(event.data, dict | None):
            raise ValueError("its data is no JSON object")
        return StoredEvent(event, row["data"] or "", *linked)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        place = f"{row['job_id']}, seq {row['seq']}"
        raise _Unreadable(Fault("job_events", place, f"it cannot be read: {error}")) from error
