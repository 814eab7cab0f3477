"""Reads for the verification of the audit: without a service, on a connection with one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from askback_server.domain.audit import StoredEvent, StoredJob
from askback_server.domain.errors import StorageUnavailable
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
        """The namespaces that have jobs or checkpoints."""
        both = sa.union(sa.select(jobs.c.namespace), sa.select(audit_checkpoints.c.namespace))
        return sorted(str(row["namespace"]) for row in self._all(both))

    def checkpoints_of(self, namespace: str) -> Iterator[tuple[int, str, bytes]]:
        """(number, statement, heads) of the checkpoints of a namespace, by number."""
        c, after = audit_checkpoints.c, 0
        while True:
            statement = sa.select(c.number, c.statement, c.heads).where(
                c.namespace == namespace, c.number > after
            )
            found = self._all(statement.order_by(c.number).limit(JOBS_AT_ONCE))
            if not found:
                return
            for row in found:
                yield row["number"], row["statement"], row["heads"]
            after = found[-1]["number"]

    def _stored(self, job_ids: Sequence[str]) -> Iterator[StoredJob]:
        found = {row["job_id"]: row for row in self._all(sa.select(jobs).where(jobs.c.job_id.in_(job_ids)))}
        log, asked, given, steps = (
            self._by_job(table, job_ids) for table in (events, prompts, answers, checkpoints)
        )
        for job_id in job_ids:
            linked = sorted(map(_to_stored_event, log.get(job_id, ())), key=lambda each: each.event.seq)
            theirs = (each.get(job_id, ()) for each in (asked, given, steps))
            yield StoredJob(job_id, found.get(job_id), linked, *theirs)

    def _by_job(self, table: sa.Table, job_ids: Sequence[str]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for row in self._all(sa.select(table).where(table.c.job_id.in_(job_ids))):
            found.setdefault(row["job_id"], []).append(row)
        return found

    def _all(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        return self._connection.execute(statement).mappings().all()


def _to_stored_event(row: Any) -> StoredEvent:
    linked = row["hash"], row["salt"], row["document_salt"], row["documents"] or b"", row["erased"]
    return StoredEvent(rows.to_event(row), row["data"] or "", *linked)
