"""The rows of a customer file, and the checks that need no person. Pure functions."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from datetime import date, datetime

from pydantic import BaseModel

COLUMNS = ["name", "email", "joined"]
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]+$"


class Row(BaseModel):
    """A line of the file, unchanged."""

    line: int
    name: str
    email: str
    joined: str


class Customer(BaseModel):
    """A row without open questions."""

    line: int
    name: str
    email: str
    joined: date


def read(text: str) -> list[Row]:
    """The rows of a CSV text. Raises ValueError if it has other columns."""
    reader = csv.DictReader(text.splitlines())
    if reader.fieldnames != COLUMNS:
        raise ValueError(f"the columns are {reader.fieldnames}, and must be {COLUMNS}")
    return [Row(line=line, **row) for line, row in enumerate(reader, 2)]


def address(text: str) -> str | None:
    """The e-mail address in lower case, to be compared; None if the text is not an address."""
    text = text.strip().lower()
    return text if re.match(EMAIL, text) else None


def dates(text: str) -> list[date]:
    """The days that a text may mean: several if it is ambiguous, none if it is not a date."""
    days: list[date] = []
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"):
        try:
            day = datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
        if day not in days:
            days.append(day)
    return days


def holder(rows: list[Row], row: Row, email: str, known: Mapping[str, str]) -> str | None:
    """The name of the customer with this address, in the table or in an earlier line; None without one."""
    above = (other.name for other in rows if other.line < row.line and address(other.email) == email)
    return known.get(email) or next(above, None)
