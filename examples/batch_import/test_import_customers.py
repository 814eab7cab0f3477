"""Tests of the importer. The fixtures `human` and `clock` come with `pip install 'askback[testing]'`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import import_customers as program
from askback import JobFailed
from askback.testing import Clock, Human
from import_customers import Clash, Report, import_customers
from rows import Customer, dates
from table import Customers, StaleToken

FILE = (Path(__file__).parent / "customers.csv").read_text()
HEADER = "name,email,joined\n"
ADA = Customer(line=2, name="Ada", email="ada@example.org", joined=date(2024, 11, 2))


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Customers:
    """Give each test an empty table."""
    table = Customers(tmp_path / "customers.db")
    monkeypatch.setattr(program, "table", table)
    return table


async def run_import(csv: str) -> Report:
    """Import a text and return the report."""
    run = await import_customers.start(csv=csv)
    return Report.model_validate(await run.result())


async def test_it_asks_only_for_the_rows_that_it_cannot_decide(human: Human, table: Customers) -> None:
    human.on("e-mail address of Alan").answers("Alan@example.org")
    human.on("e-mail address of Donald").declines("he does not read e-mail")
    human.on("when did Katherine").answers("2025-04-03")
    human.on("Ada Lovelace's already").answers(Clash.REPLACE)
    report = await run_import(FILE)
    assert report == Report(written=9, replaced=1, kept=0, same=1, skipped=[11])
    assert table.names()["ada@example.org"] == "A. Lovelace"
    assert sorted(human.seen) == ["line-11-email", "line-5-email", "line-6-joined", "line-9-clash"]


async def test_all_questions_are_open_at_once(human: Human, clock: Clock, table: Customers) -> None:
    rows = human.on(job_type="import").never()
    run = await import_customers.start(csv=FILE)
    await clock.advance(hours=1)
    assert len(rows.prompts) == 4
    job = await run.job()
    assert (job.open_prompts, len(table.names())) == (4, 7)
    # A program that answers what it can look up finds the row there.
    assert {prompt.metadata["line"] for prompt in rows.prompts} == {5, 6, 9, 11}
    await run.cancel("enough seen")


async def test_a_row_without_an_answer_overwrites_no_customer(
    human: Human, clock: Clock, table: Customers
) -> None:
    table.put(ADA, "before", 1)
    human.on(key="line-2-clash").never()
    human.on(key="line-3-email").never()
    run = await import_customers.start(csv=HEADER + "Eve,ada@example.org,2025-01-01\nBob,none,2025-01-01\n")
    await clock.advance(days=3)
    report = Report.model_validate(await run.result())
    assert (report.kept, report.skipped) == (1, [3])
    assert table.names() == {"ada@example.org": "Ada"}


async def test_a_corrected_address_may_clash_too(human: Human, table: Customers) -> None:
    table.put(ADA, "before", 1)
    human.on(key="line-2-email").answers("ada@example.org")
    human.on(key="line-2-clash").answers(Clash.KEEP)
    assert (await run_import(HEADER + "Eve,eve at example,2025-01-01\n")).kept == 1


async def test_a_file_with_other_columns_fails_without_a_retry(human: Human) -> None:
    run = await import_customers.start(csv="name,phone\n")
    with pytest.raises(JobFailed, match="must be") as failed:
        await run.result()
    assert failed.value.failure_code == "WrongColumns"
    assert (await run.job()).attempt == 1


def test_a_row_is_written_once_and_never_with_a_stale_token(table: Customers) -> None:
    assert table.put(ADA, "job", 7)
    assert table.put(ADA, "job", 7), "again, after a crash before the checkpoint"
    assert not table.put(ADA.model_copy(update={"line": 9}), "job", 7), "the first one is there"
    with pytest.raises(StaleToken):
        table.put(ADA, "job", 6, replace=True)
    assert table.names() == {"ada@example.org": "Ada"}


def test_a_date_is_clear_or_has_two_meanings() -> None:
    assert dates("28/03/2025") == [date(2025, 3, 28)]
    assert dates("03/04/2025") == [date(2025, 4, 3), date(2025, 3, 4)]
    assert dates("soon") == []
