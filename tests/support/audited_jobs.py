"""Jobs whose events and documents are in the chain, their checkpoints, and the report of a verification."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from askback_server.audit import Report, verify_stored
from askback_server.domain import commands as c
from askback_server.domain.chain import digest_personal
from askback_server.domain.decisions import Decision
from askback_server.engine.checkpoints import Checkpoints
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.storage import tables
from askback_server.storage.audit_reads import AuditReads
from askback_server.storage.database import Database
from tests.support.aggregates import WORKER, question
from tests.support.storage import Node, execute, fetch


async def trip(here: Node) -> str:
    """A job with an amended prompt, a refused and an accepted answer, a step and a result."""
    session = await here.session()
    job = await here.lease(await here.create(input_json='{"n": 9007199254740993}'), session)
    prompt = await here.ask(job, "first", question(title="Send it?"))
    prompt = await here.ask(job, "first", question(title="Send it now?"))
    await here.answer(prompt, decision=Decision.RESPOND, values_json="[1", answer_id="bad")
    await here.answer(prompt, decision=Decision.ACCEPT, answer_id="good")
    await here.do(
        c.SaveCheckpoint(
            principal=WORKER, job_id=job.job_id, token=job.token, key="step", value_json='{"a":1}'
        )
    )
    await here.complete(job)
    return job.job_id


def checkpoints(database: Database) -> Checkpoints:
    """The task that makes checkpoints, on this database."""
    return Checkpoints(database.checkpoints, DatabaseClock(SystemClock()), str)


async def verified(database: Database, **flags: object) -> Report:
    """The report of `askback audit verify`, by default of the namespace `default`."""
    flags = {"namespace": "default", **flags}
    report: Report = await database._dialect.run(
        lambda connection: verify_stored(AuditReads(connection), flags=flags, keys=[])
    )
    return report


async def erase(database: Database, job_id: str, type: str) -> Any:
    """Erase the actor and the data of the events of a type. Returns the last row as it was."""
    log = tables.events.c.job_id == job_id, tables.events.c.type == type
    rows = await fetch(database, sa.select(tables.events).where(*log).order_by(tables.events.c.seq))
    for row in rows:
        erased = digest_personal(row["salt"], row["actor"], row["data"])
        change = sa.update(tables.events).where(tables.events.c.id == row["id"])
        await execute(database, change.values(actor="", data=None, salt=None, erased=erased))
    return rows[-1]
