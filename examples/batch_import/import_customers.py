"""A worker that imports a customer file and asks only for the rows that it cannot decide.

All its questions are open at once, and each row is written as soon as it is clear. Killed at any
point, it neither writes a row twice nor asks twice. `python import_customers.py` runs it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field

from askback import Job, NonRetryable, PromptDeclined, PromptExpired, Worker
from rows import EMAIL, Customer, Row, address, dates, holder, read
from table import Customers

table = Customers(Path(os.environ.get("CUSTOMERS_DB", "customers.db")))
worker = Worker(worker_id="import-bot", park_after=10.0)

AT_ONCE = 20
"""Rows in work at a time, so questions open at a time. The server's own bound is 64 for a job."""

DESK = ("group:data-desk",)
T = TypeVar("T")
Email = Annotated[str, Field(pattern=EMAIL)]


class Clash(StrEnum):
    """What to do with a row whose address belongs to somebody else already."""

    KEEP = "keep the customer that is there"
    REPLACE = "replace it by the new row"


class Report(BaseModel):
    """The job's result: what became of how many rows, and the lines that were left out."""

    written: int
    replaced: int
    kept: int
    same: int
    skipped: list[int]


@worker.job("import")
async def import_customers(job: Job, csv: str) -> Report:
    """Import the rows of `csv`. The text itself is the input: a file might change between two attempts."""
    try:
        rows = read(csv)
    except ValueError as error:
        raise NonRetryable(str(error), code="WrongColumns") from None
    # Once in the job's life: after a crash the table would hold our own rows, and we would take them
    # for strangers.
    known = await job.step("known", table.names)
    turn = asyncio.Semaphore(AT_ONCE)
    fates: dict[int, str] = {}

    async def one(row: Row) -> None:
        async with turn:
            fates[row.line] = await fate(job, rows, row, known)
        await job.progress(len(fates), len(rows), f"line {row.line} {fates[row.line]}")

    # Each question waits in a coroutine of its own; those without a question go straight through.
    await asyncio.gather(*(one(row) for row in rows))
    number = Counter(fates.values())
    # Reports are coalesced, and the last one may be lost; a milestone is kept.
    await job.progress(len(rows), len(rows), "all lines are done", milestone=True)
    return Report(
        written=number["written"],
        replaced=number["replaced"],
        kept=number["kept"],
        same=number["same"],
        skipped=sorted(line for line, what in fates.items() if what == "skipped"),
    )


async def fate(job: Job, rows: list[Row], row: Row, known: dict[str, str]) -> str:
    """Bring one row to its end: written, replaced, kept, same or skipped."""
    try:
        email = address(row.email) or await ask_email(job, row)
        days = dates(row.joined)
        joined = days[0] if len(days) == 1 else await ask_date(job, row, days)
        customer = Customer(line=row.line, name=row.name, email=email, joined=joined)
        other = holder(rows, row, email, known)
        if other == row.name:
            return "same"
        replace = other is not None and await ask_clash(job, row, other) is Clash.REPLACE
    except (PromptDeclined, PromptExpired):
        # Somebody said no, or nobody cared for three days: this row is left out, the others are not.
        return "skipped"
    if other is not None and not replace:
        return "kept"
    # One step a row, for a file that a person would look at. For a large one, a step for every
    # hundred clear rows: a job has room for 10,000 checkpoints.
    there = await job.step(f"line-{row.line}", table.put, customer, job.job_id, job.token, replace=replace)
    return "kept" if not there else "replaced" if replace else "written"


async def ask_email(job: Job, row: Row) -> str:
    """The right address of a row without one."""
    said = f"Line {row.line} says `{row.email}`."
    email = await ask(job, row, "email", f"What is the e-mail address of {row.name}?", Email, said)
    return email.lower()


async def ask_date(job: Job, row: Row, days: list[date]) -> date:
    """The day that a row means."""
    which = " or ".join(f"{day:%d %B %Y}" for day in days) or "no date that can be read"
    said = f"Line {row.line} says `{row.joined}`: {which}."
    return await ask(job, row, "joined", f"When did {row.name} join?", date, said)


async def ask(job: Job, row: Row, column: str, title: str, form: type[T], body: str) -> T:
    """What a column of a row should say."""
    return await job.ask(
        title,
        form,
        # The key names the question for good: after a crash the same key gets the same answer.
        key=f"line-{row.line}-{column}",
        body=body,
        to=DESK,
        deadline=timedelta(days=3),
        # Labels are for consoles that filter, metadata for programs that answer what they can look up.
        labels={"table": "customers", "column": column},
        metadata=row.model_dump(),
    )


async def ask_clash(job: Job, row: Row, other: str) -> Clash:
    """Who has the address. If nobody decides within a day, nobody's data is overwritten."""
    return await job.ask(
        f"{row.email} is {other}'s already. What about {row.name}?",
        Clash,
        key=f"line-{row.line}-clash",
        to=DESK,
        deadline=timedelta(days=1),
        default=Clash.KEEP,
        metadata=row.model_dump(),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(worker.run())
