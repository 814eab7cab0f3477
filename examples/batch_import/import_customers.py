"""A worker that imports a customer file and asks only for the rows that it cannot decide.

All its questions are open at once, and each row is written as soon as it is clear. If the worker is killed
at any point, no row is written twice and no question is asked twice. `python import_customers.py` runs it.
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
"""The maximum number of rows in progress, and so of open questions. The server allows 64 for a job."""

DESK = ("group:data-desk",)
T = TypeVar("T")
Email = Annotated[str, Field(pattern=EMAIL)]


class Clash(StrEnum):
    """What to do with a row whose address belongs to another customer."""

    KEEP = "keep the customer that is there"
    REPLACE = "replace it by the new row"


class Report(BaseModel):
    """The job's result: the number of rows by outcome, and the lines that were skipped."""

    written: int
    replaced: int
    kept: int
    same: int
    skipped: list[int]


@worker.job("import")
async def import_customers(job: Job, csv: str) -> Report:
    """Import the rows of the text `csv`. A path would not do: the file might change between two attempts."""
    try:
        rows = read(csv)
    except ValueError as error:
        raise NonRetryable(str(error), code="WrongColumns") from None
    # A step runs once in the life of the job. A second read after a crash would find our own rows in the
    # table, and take them for other customers.
    known = await job.step("known", table.names)
    turn = asyncio.Semaphore(AT_ONCE)
    outcomes: dict[int, str] = {}

    async def one(row: Row) -> None:
        async with turn:
            outcomes[row.line] = await import_row(job, rows, row, known)
        await job.progress(len(outcomes), len(rows), f"line {row.line} {outcomes[row.line]}")

    # Each question waits in its own coroutine; rows without a question do not wait.
    await asyncio.gather(*(one(row) for row in rows))
    number = Counter(outcomes.values())
    # Progress reports are coalesced, and the last one may be lost; a milestone is always stored.
    await job.progress(len(rows), len(rows), "all lines are done", milestone=True)
    return Report(
        written=number["written"],
        replaced=number["replaced"],
        kept=number["kept"],
        same=number["same"],
        skipped=sorted(line for line, what in outcomes.items() if what == "skipped"),
    )


async def import_row(job: Job, rows: list[Row], row: Row, known: dict[str, str]) -> str:
    """Import one row and return its outcome: written, replaced, kept, same or skipped."""
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
        # A person declined, or the question expired after three days: skip this row, but not the others.
        return "skipped"
    if other is not None and not replace:
        return "kept"
    # One step per row suits a small file. For a large one use a step for every hundred clear rows: a job may
    # have 10,000 checkpoints.
    written = await job.step(f"line-{row.line}", table.put, customer, job.job_id, job.token, replace=replace)
    return "kept" if not written else "replaced" if replace else "written"


async def ask_email(job: Job, row: Row) -> str:
    """Ask for the e-mail address of a row without a valid one."""
    body = f"Line {row.line} says `{row.email}`."
    email = await ask(job, row, "email", f"What is the e-mail address of {row.name}?", Email, body)
    return email.lower()


async def ask_date(job: Job, row: Row, days: list[date]) -> date:
    """Ask for the day that a row means."""
    which = " or ".join(f"{day:%d %B %Y}" for day in days) or "no date that can be read"
    body = f"Line {row.line} says `{row.joined}`: {which}."
    return await ask(job, row, "joined", f"When did {row.name} join?", date, body)


async def ask(job: Job, row: Row, column: str, title: str, form: type[T], body: str) -> T:
    """Ask for the value of one column of a row."""
    return await job.ask(
        title,
        form,
        # The key identifies the question in the job: after a crash the same key gets the same answer.
        key=f"line-{row.line}-{column}",
        body=body,
        to=DESK,
        deadline=timedelta(days=3),
        # Labels are for consoles that filter, metadata is for programs that can look up the answer.
        labels={"table": "customers", "column": column},
        metadata=row.model_dump(),
    )


async def ask_clash(job: Job, row: Row, other: str) -> Clash:
    """Ask which customer has the address. Without a decision within a day nothing is overwritten."""
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
