"""Reads a file of people: CSV with a header, or a JSON object a line. All mistakes are found at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_FIELDS = {
    "subject": "subject",
    "name": "display_name",
    "email": "email",
    "groups": "groups",
    "time_zone": "time_zone",
    "language": "language",
    "active": "active",
}
"""Names in the file, and the arguments of `Client.set_person`."""
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_MAX_PROBLEMS = 20
"""Mistakes that are reported at once."""


class BadRows(ValueError):
    """Lines of the file that cannot be imported; `problems` names each line and the mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        more = len(problems) - _MAX_PROBLEMS
        self.problems = problems[:_MAX_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])


@dataclass(frozen=True)
class Entry:
    """One person of a file: the line, the subject, and the arguments of `Client.set_person`."""

    line: int
    subject: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_people(text: str, *, is_csv: bool) -> list[Entry]:
    """The people of a file. Raises BadRows."""
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    for line, row in _csv_rows(text) if is_csv else _json_rows(text):
        try:
            entry = _entry(line, row)
            if entry.subject in entries:
                raise ValueError(f"subject {entry.subject!r} is in line {entries[entry.subject].line} too")
            entries[entry.subject] = entry
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if not entries and not problems:
        problems.append("it has no people")
    if problems:
        raise BadRows(problems)
    return list(entries.values())


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Line numbers and cells by name; empty cells are left out."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True, skipinitialspace=True)
    try:
        for row in reader:
            cells: dict[str, Any] = {}
            for name, cell in row.items():
                if name is None or cell is None:
                    cells["cells"] = "as many cells as the header"
                elif cell.strip():
                    cells[name.strip()] = _from_cell(name.strip(), cell.strip())
            yield reader.line_num, cells
    except csv.Error as error:
        raise BadRows([f"line {reader.line_num + 1}: {error}"]) from None


def _from_cell(name: str, cell: str) -> Any:
    if name == "groups":
        return [group.strip() for group in cell.split(";") if group.strip()]
    return _YES_NO.get(cell.lower(), cell) if name == "active" else cell


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Line numbers and objects; empty lines are left out."""
    from askback._model.json_text import loads_spelled

    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, loads_spelled(line)
            except ValueError as error:
                yield number, str(error)


def _entry(line: int, row: object) -> Entry:
    """The person of a line. Raises ValueError."""
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object" if not isinstance(row, str) else f"is not JSON: {row}")
    if "cells" in row:
        raise ValueError(f"must have {row['cells']}")
    if unknown := sorted(set(row) - set(_FIELDS)):
        raise ValueError(f"{unknown[0]!r} is not a field; there are: {', '.join(_FIELDS)}")
    for name, value in row.items():
        if name == "groups":
            if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
                raise ValueError("groups must be a list of names")
        elif name == "active":
            if not isinstance(value, bool):
                raise ValueError("active must be yes or no")
        elif not isinstance(value, str):
            raise ValueError(f"{name} must be a text")
    if not row.get("subject"):
        raise ValueError("subject is missing")
    return Entry(line, row["subject"], {_FIELDS[name]: row[name] for name in row if name != "subject"})
