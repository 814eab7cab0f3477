"""The tables of `askback overview`: names of age classes, and columns that are left out."""

from datetime import UTC, datetime

import pytest

from askback._model.overview import Overview
from askback.cli.output import Output
from askback.cli.overview_tables import write_overview
from askback.v1 import job_service_pb2 as pb
from tests.support.requests import seconds


def figures(**fields: object) -> Overview:
    waiting = pb.WaitingPrompts(
        total=4,
        unattended=1,
        age_bounds=[seconds(60), seconds(3_600)],
        by_age=[1, 2, 1],
        by_kind=[
            pb.WaitingOfKind(kind="confirm", total=3, unattended=1, by_age=[1, 1, 1]),
            pb.WaitingOfKind(kind="clarify", total=1, by_age=[0, 1, 0]),
        ],
        **fields,  # type: ignore[arg-type]
    )
    reply = pb.GetOverviewResponse(waiting=waiting)
    reply.time.FromDatetime(datetime(2026, 11, 29, 12, tzinfo=UTC))
    return Overview.from_proto(reply)


def lines_of(overview: Overview, capsys: pytest.CaptureFixture[str]) -> list[str]:
    write_overview(Output(), overview)
    return capsys.readouterr().out.splitlines()


def test_age_classes_are_named_by_both_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = lines_of(figures(), capsys)[2:6]
    assert head.split("  ")[-3:] == ["<1 min", "1 min-1 h", ">1 h"]
    assert [row.split() for row in rows] == [
        ["confirm", "3", "1", "1", "1", "1"],
        ["clarify", "1", "0", "0", "1", "0"],
        ["all", "4", "1", "1", "2", "1"],
    ]


def test_the_first_line_says_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(figures(), capsys)[0] == "4 questions wait; 1 unattended"
    more = "4 questions wait, and younger ones that are not counted; 1 unattended"
    assert lines_of(figures(partial=True), capsys)[0] == more


def test_foreign_text_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures()
    reply = found.proto
    reply.oldest.add(prompt_id="0190", title="evil\x1b[2Jtitle", kind="con\nfirm")
    text = "\n".join(lines_of(Overview.from_proto(reply), capsys))
    assert "\x1b" not in text
    assert "con\nfirm" not in text
