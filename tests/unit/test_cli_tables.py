"""Golden screens: what `inbox ls` and `job ls` look like at usual widths.

ASKBACK_GOLDEN=write rewrites the screens. Review each before it is committed.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from askback._model.jobs import JobInfo
from askback._model.prompts import PromptInfo
from askback._model.times import timestamp
from askback._text.table import Column, lines
from askback._text.text import columns
from askback.cli.job import job_table
from askback.cli.output import Format, Output
from askback.terminal.prompt_table import fit_screen, prompt_columns
from askback.v1 import job_pb2
from askback.v1 import prompt_pb2 as pb
from tests.support.zones import CET, zone

NOW = datetime(2026, 11, 27, 15, 5, tzinfo=UTC)
GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(autouse=True)
def _cet() -> Iterator[None]:
    with zone(CET):
        yield


def same(name: str, found: str) -> None:
    """Compares a screen with its reviewed copy."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ASKBACK_GOLDEN") == "write":
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8")


def open_prompt(
    end: str,
    kind: str,
    title: str,
    *,
    left: float = 0,
    age: float = 600,
    job_type: str = "refund",
    **fields: str,
) -> PromptInfo:
    """An open prompt with the given end of its id and number of seconds left."""
    content = pb.PromptContent(kind=kind, title=title, priority=int(fields.get("priority", 0)))
    found = pb.Prompt(
        prompt_id=f"01a22406-54aa-7e2c-9a61-{end:0>12}",
        job_id="01a22406-54aa-7e2c-9a61-c0ffee000000",
        job_type=job_type,
        state=pb.PROMPT_STATE_PENDING,
        content=content,
        revision=1,
        create_time=timestamp(NOW - timedelta(seconds=age)),
        claimed_by=fields.get("claimed", ""),
    )
    if left:
        found.expire_time.CopyFrom(timestamp(NOW + timedelta(seconds=left)))
    return PromptInfo(found)


QUEUE = [
    open_prompt(
        "a1b2c3",
        "confirm",
        "Pay 12.5 EUR to Ines Okafor for the return of order A-17?",
        left=290,
        age=45,
        priority="9",
    ),
    open_prompt(
        "1d4e5f6",
        "preview",
        "Release notes of 1.4: please correct names, dates and the list of thanks",
        left=12_000,
        age=9_000,
        job_type="release",
        claimed="bob",
    ),
    open_prompt(
        "2d4e5f6",
        "clarify",
        "対象の環境を選んでください：本番環境またはステージング環境のどちらですか",
        left=86_399,
        age=90_000,
        job_type="deploy",
    ),
    open_prompt(
        "0f9e8d",
        "confirm",
        "Merge 🎉 the birthday branch? 👩‍💻 says it is fine, Zoë and Łukasz agree",
        age=200_000,
        job_type="merge",
    ),
    open_prompt(
        "77aa88", "compliance-review", "Short", left=-3, age=700, job_type="a-very-long-job-type/with-path"
    ),
]


def print_table(table: list[Column], width: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The table as the command prints it."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        Output(Format.TABLE).table(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_inbox_ls_fits_each_width(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = print_table(prompt_columns(QUEUE, NOW), width, capsys)
    assert all(columns(line) <= width for line in text.splitlines())
    assert text.split()[:4] == ["LEFT", "KIND", "TITLE", "ID"]
    same(f"inbox_ls_{width}", text)


def test_verbose_inbox_ls_shows_exact_times_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    same("inbox_ls_verbose", print_table(prompt_columns(QUEUE, NOW, exact=True), 0, capsys))


@pytest.mark.parametrize("width", [30, 44, 60, 61, 80, 99, 100, 120, 140, 200])
def test_a_title_is_readable_at_any_width(width: int) -> None:
    """A title has at least 20 columns on a terminal of 60, and no line is wider than the terminal."""
    head, *rows = lines(prompt_columns(QUEUE, NOW), width)
    assert all(columns(line) <= width for line in (head, *rows))
    if width >= 60:
        room = head.index("ID") - head.index("TITLE") - 2
        assert room >= 20
        assert "a1b2c3" in rows[0]
        assert "1d4e5f6" in rows[1]  # longer, where six characters are not unique


def test_empty_columns_are_left_out() -> None:
    alike = [open_prompt(f"{n}aaaaa", "confirm", f"T{n}", age=60, priority="3") for n in range(3)]
    assert lines(prompt_columns(alike, NOW), 200)[0].split() == ["LEFT", "KIND", "TITLE", "ID"]
    held = [open_prompt(f"{n}aaaaa", "confirm", f"T{n}", age=60, claimed="bob") for n in range(3)]
    assert lines(prompt_columns(held, NOW), 200)[0].split() == ["LEFT", "KIND", "TITLE", "ID", "CLAIMED"]
    alone = lines(prompt_columns(alike[:1], NOW), 200)[0].split()
    assert alone == ["LEFT", "KIND", "TITLE", "ID", "AGE", "FROM", "PRIO"]


def test_a_console_shows_what_fits_and_counts_the_rest() -> None:
    many = [open_prompt(f"{n:06x}", "confirm", f"Question {n}", left=600 + n) for n in range(272)]
    numbers = list(range(1, 273))
    shown = fit_screen(many, NOW, numbers, (80, 45))
    assert len(shown) == 42
    assert shown[0].split() == ["LEFT", "KIND", "TITLE", "N"]
    assert "Question 0 " in shown[1]
    assert shown[-1] == "and 232 more; `list --all` shows them"
    assert len(fit_screen(many, NOW, numbers, (80, 0))) == len(fit_screen(many, NOW, numbers, (0, 0))) == 273
    assert fit_screen(many[:40], NOW, numbers[:40], (80, 45))[-1].split()[-1] == "40"
    assert fit_screen(many, NOW, numbers, (80, 3))[-1].startswith("and 267 more")


def job(end: str, job_type: str, state: int, *, age: float, **fields: object) -> JobInfo:
    """A job with the given end of its id."""
    found = job_pb2.Job(
        job_id=f"01a22406-54aa-7e2c-9a61-{end:0>12}",
        job_type=job_type,
        state=job_pb2.JobState.ValueType(state),
        create_time=timestamp(NOW - timedelta(seconds=age)),
        **fields,  # type: ignore[arg-type]
    )
    return JobInfo(found)


JOBS = [
    job("a1b2c3", "askback.ask", job_pb2.JOB_STATE_PENDING_HITL, age=40, user_id="ana", open_prompts=1),
    job(
        "4d5e6f",
        "deploy",
        job_pb2.JOB_STATE_RUNNING,
        age=3_000,
        user_id="ci",
        progress=job_pb2.Progress(done=3, total=10, message="uploading artefacts to 東京 and Dublin"),
    ),
    job(
        "0f9e8d",
        "refund",
        job_pb2.JOB_STATE_FAILED,
        age=90_000,
        user_id="ana",
        failure=job_pb2.Failure(code="ValueError", message="the amount 12.505 has more than two places"),
    ),
    job(
        "77aa88",
        "import/customers-of-the-old-shop",
        job_pb2.JOB_STATE_CANCELLED,
        age=400_000,
        user_id="bob",
        cancel_reason="wrong file",
    ),
    job("99bb00", "refund", job_pb2.JOB_STATE_COMPLETED, age=600_000, user_id="ana", labels={"env": "prod"}),
]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_job_ls_fits_each_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fixed(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return NOW

    monkeypatch.setattr(job_table, "datetime", Fixed)
    text = print_table(job_table.columns(JOBS), width, capsys)
    assert all(columns(line) <= width for line in text.splitlines())
    same(f"job_ls_{width}", text)
