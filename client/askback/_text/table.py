"""Tables for people: columns that fit the terminal, the important ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from askback._text.text import columns as width_of
from askback._text.text import cut, one_line

GAP_WIDTH = 2
COMFORTABLE_WIDTH = 32
"""Width that the column of long texts keeps, if its texts need it, before another column is added."""
MIN_WIDTH = 10
"""Minimum width of the column of long texts."""


@dataclass(frozen=True)
class Column:
    """One column: its name, and a cell for each row.

    An `important` column gets its width first; one that does not fit is left out whole. Other columns are
    left out if all their cells are equal or empty, and from the last one on if they do not fit. At most one
    column is `wide`: it gets the remaining width, and an ellipsis replaces the text that does not fit.
    `maximum` limits the width of any other column. An `informative` column is shown even if all its cells are
    equal.
    """

    name: str
    cells: Sequence[object]
    important: bool = False
    wide: bool = False
    maximum: int = 0
    informative: bool = False

    def is_informative(self) -> bool:
        """Whether the column tells a reader anything."""
        different = set(self.cells)
        if different <= {"", "-"}:
            return False
        return len(different) > 1 or len(self.cells) == 1 or self.informative


@dataclass(frozen=True)
class Cell:
    """A cell as it is printed: its text, and the spaces that follow it."""

    text: str
    padding: str = ""


def layout(columns: Sequence[Column], width: int) -> list[list[Cell]]:
    """Lay out the header and the rows in lines of at most `width` columns (0: unlimited)."""
    found = [_Measured(column) for column in columns if column.important or column.is_informative()]
    if width:
        for one in found:
            one.limit_width()
        found = _fitting(found, width)
    sizes = [one.size for one in found]
    rows = []
    for at in range(len(columns[0].cells) + 1 if columns else 0):
        texts = [cut(one.texts[at], size) for one, size in zip(found, sizes, strict=True)]
        pads = [" " * (size - width_of(text) + GAP_WIDTH) for text, size in zip(texts, sizes, strict=True)]
        rows.append([Cell(text, pad) for text, pad in zip(texts, [*pads[:-1], ""], strict=True)])
    return rows


def lines(columns: Sequence[Column], width: int = 0) -> list[str]:
    """The table as plain lines, the header first."""
    return [plain(row, width) for row in layout(columns, width)]


def plain(row: Sequence[Cell], width: int = 0) -> str:
    """One line without style."""
    return cut("".join(cell.text + cell.padding for cell in row).rstrip(), width)


class _Measured:
    """A column with its cells as one-line texts, and its width."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.texts = [column.name, *(one_line(cell) for cell in column.cells)]
        self.size = max(map(width_of, self.texts))

    def limit_width(self) -> None:
        """Apply the column's `maximum`."""
        if self.column.maximum:
            self.size = max(min(self.size, self.column.maximum), width_of(self.column.name))


def _fitting(found: Sequence[_Measured], width: int) -> list[_Measured]:
    """The columns that fit; the wide one gets the width that the others leave."""
    wide = next((one for one in found if one.column.wide), None)
    comfort = min(wide.size, COMFORTABLE_WIDTH) if wide is not None else 0
    minimum = min(wide.size, MIN_WIDTH) if wide is not None else 0
    chosen = [wide] if wide is not None else []
    room = width + (0 if wide else GAP_WIDTH)
    for one in found:
        if (
            one.column.important
            and one is not wide
            and (not chosen or room - one.size - GAP_WIDTH >= minimum)
        ):
            chosen.append(one)
            room -= one.size + GAP_WIDTH
    for one in found:
        if not (one.column.important or one in chosen):
            if room - one.size - GAP_WIDTH < comfort:
                break
            chosen.append(one)
            room -= one.size + GAP_WIDTH
    if wide is not None:
        wide.size = max(min(wide.size, room), minimum, width_of(wide.column.name))
    return [one for one in found if one in chosen]
