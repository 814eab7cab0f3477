"""Verifies the audit of a database: `askback audit verify` calls `verify`. It reads, and needs no service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from askback_server.config.settings import ConfigError
from askback_server.config.sources import database_url
from askback_server.domain.audit import verify_job
from askback_server.domain.checkpoints import BadSigningKeys, Checkpoint, Head, digest_of_bytes, unpack_heads
from askback_server.domain.errors import AskbackError
from askback_server.domain.stored_jobs import Fault, Notes, StoredJob
from askback_server.engine.checkpoints import KEEP
from askback_server.ports.clock import is_id
from askback_server.signing import Keys, open_statement, read_keys
from askback_server.storage.audit_reads import AuditReads, read_audit

BROKEN, UNUSABLE, NOT_FOUND = 5, 1, 3
"""Exit codes; 0 if nothing is wrong, 2 for wrong usage."""


@dataclass(slots=True)
class Report:
    """The outcome of a verification."""

    jobs: int = 0
    events: int = 0
    checkpoints: int = 0
    unsigned: int = 0
    """Checkpoints without a signature."""
    notes: Notes = field(default_factory=Notes)
    faults: list[Fault] = field(default_factory=list)
    newest_checkpoint: str = ""
    """The time of the newest checkpoint; what is younger is covered by the chains alone."""
    last_statement: str = ""
    """Of the newest checkpoint of the namespace; keep it elsewhere, and pass it as `expect` later."""


class NotStored(Exception):
    """There is no such job or namespace."""


def verify(flags: Mapping[str, Any]) -> int:
    """Verify a job, or all of a namespace. Prints the outcome and returns the exit code.

    Flags: `db`, `config`; `job` or `namespace`; `keys`, a file of keys that must have signed all
    checkpoints from the number `signed_from` on; `expect`, the statement of a checkpoint that was kept
    elsewhere; `as_json`.
    """
    try:
        url = database_url({name: flags.get(name) for name in ("db", "config")})
        keys = read_keys(flags["keys"]) if flags.get("keys") else []
        report = read_audit(url, partial(verify_stored, flags=flags, keys=keys))
    except (ConfigError, BadSigningKeys) as error:
        print(f"askback: {error}", file=sys.stderr)
        return 2
    except NotStored as error:
        print(f"askback: {error}", file=sys.stderr)
        return NOT_FOUND
    except (AskbackError, ValueError) as error:
        print(f"askback: {error}", file=sys.stderr)
        return UNUSABLE
    if flags.get("as_json"):
        print(json.dumps(asdict(report)))
    else:
        _print(report)
    return BROKEN if report.faults else 0


def verify_stored(reads: AuditReads, *, flags: Mapping[str, Any], keys: Keys) -> Report:
    """Verify what is read. Raises NotStored, StorageUnavailable."""
    job_id, expect = flags.get("job"), flags.get("expect") or ""
    namespace = flags.get("namespace")
    if job_id:
        namespace = reads.namespace_of(job_id) if is_id(job_id) else None
        if namespace is None:
            raise NotStored(f"nothing is stored of a job {job_id}")
    elif namespace not in reads.namespaces() and not expect:
        raise NotStored(f"there is no job in the namespace {namespace}")
    report = Report()
    heads = _verify_checkpoints(reads, str(namespace), keys, expect, flags.get("signed_from") or 1, report)
    wanted = iter([reads.job(job_id)]) if job_id else reads.jobs_of(str(namespace))
    seen: set[str] = set()
    for stored in wanted:
        seen.add(stored.job_id)
        _verify(stored, heads, report)
    for stored in reads.jobs_without_row(str(namespace)) if not job_id else ():
        seen.add(stored.job_id)
        _verify(stored, heads, report)
    for stored in _without_trace(reads, heads, seen) if not job_id else ():
        _verify(stored, heads, report)
    return report


def _verify(stored: StoredJob, heads: Mapping[str, Head], report: Report) -> None:
    report.jobs += 1
    report.events += len(stored.events)
    report.faults += verify_job(stored, report.notes, heads.get(stored.job_id))


def _without_trace(reads: AuditReads, heads: Mapping[str, Head], seen: set[str]) -> Iterator[StoredJob]:
    """The jobs of checkpoints without a row and events, except those whose deletion a checkpoint has."""
    for job_id, head in heads.items():
        if job_id not in seen and not head.deleted:
            yield reads.job(job_id)


KEPT = KEEP - timedelta(days=1)
"""Checkpoints that are younger than this before the newest one are not deleted by the service."""


def _verify_checkpoints(
    reads: AuditReads, namespace: str, keys: Keys, expect: str, signed_from: int, report: Report
) -> dict[str, Head]:
    """Verify the checkpoints of a namespace. Returns the newest head of each job."""
    heads: dict[str, Head] = {}
    before, first, met = "", 0, not expect
    began: datetime | None = None
    for number, at, statement, packed in reads.checkpoints_of(namespace):
        report.checkpoints += 1
        report.last_statement, report.newest_checkpoint = statement, at.isoformat()
        met = met or statement == expect
        row = f"{namespace}, {number}"
        try:
            kid = ""
            if keys or statement.startswith("{"):
                payload, kid = open_statement(statement, keys)
            else:
                payload, kid = _payload_of(statement), "not verified"
            found, listed = Checkpoint.from_json(payload), list(unpack_heads(packed))
        except ValueError as error:
            report.faults.append(Fault("audit_checkpoints", row, str(error)))
            before = statement
            continue
        report.unsigned += not kid
        if problem := _problem(found, namespace, number, packed, before, first):
            report.faults.append(Fault("audit_checkpoints", row, problem))
        elif found.at != at:
            report.faults.append(Fault("audit_checkpoints", row, "its time is not that of its statement"))
        elif not kid and keys and number >= signed_from:
            report.faults.append(Fault("audit_checkpoints", row, "it is not signed"))
        before, first, began = statement, first or number, began or at
        heads.update((head.job_id, head) for head in listed)
        newest = at
    if keys and not report.checkpoints:
        report.faults.append(Fault("audit_checkpoints", namespace, "there are no checkpoints"))
    if first > 1 and began is not None and newest - began < KEPT:
        problem = f"checkpoints 1 to {first - 1} are missing, and were not old enough to be deleted"
        report.faults.append(Fault("audit_checkpoints", f"{namespace}, {first}", problem))
    if not met:
        report.faults.append(Fault("audit_checkpoints", namespace, "the expected statement is not there"))
    return heads


def _problem(found: Checkpoint, namespace: str, number: int, packed: bytes, before: str, first: int) -> str:
    if (found.namespace, found.number) != (namespace, number):
        return f"its statement is of checkpoint {found.number} of {found.namespace}"
    if found.digest != digest_of_bytes(packed):
        return "its list of jobs is not the one that was signed"
    if first and found.previous != digest_of_bytes(before.encode()):
        return "the checkpoint before it is missing or was changed"
    if not first and number == 1 and found.previous:
        return "it names a checkpoint before the first one"
    return ""


def _payload_of(statement: str) -> str:
    """The payload of a signed statement whose signature is not verified. Raises ValueError."""
    import base64
    import binascii

    part = statement.split(".")[1] if statement.count(".") == 2 else ""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("its statement is damaged") from error


def _print(report: Report) -> None:
    for fault in report.faults:
        print(f"WRONG {fault}")
    figures = (report.jobs, "job"), (report.events, "event"), (report.checkpoints, "checkpoint")
    counted = ", ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in figures)
    print(f"{counted}: {f'{len(report.faults)} wrong' if report.faults else 'ok'}")
    notes = report.notes
    if report.newest_checkpoint:
        print(f"newest checkpoint: {report.newest_checkpoint}")
    for count, text in (
        (notes.erased_documents, "documents (contents, answers, inputs, results, steps) were erased"),
        (notes.unlinked, "of the events: written by a version without the chain"),
        (notes.erased, "of the events: proven without the personal data that was erased"),
        (report.unsigned, "of the checkpoints: not signed, because the server has no --signing-keys"),
    ):
        if count:
            print(f"note: {count} {text}")
