"""The picture of a console in README is up to date with the script that draws it."""

from __future__ import annotations

import html
import re

from scripts.console_picture import PICTURE, draw

ID = re.compile(r"[0-9a-f]{6,8}(-[0-9a-f-]+)?")
TIME = re.compile(
    r"just now|\d+ (s|min|h|d) ago|\d+ (s|min|h|d)\b|((\d{4}-\d\d-\d\d|\d+ [A-Z][a-z]{2}) )?\d\d:\d\d|\bAGE\b"
)
"""A list has a column AGE only if the ages differ."""


def words(picture: str) -> list[str]:
    """The words of a picture without ids and times."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", picture)
    shown = [html.unescape(text).replace("\xa0", " ") for text in texts]
    return [word for text in shown for word in TIME.sub("", ID.sub("ID", text)).split()]


async def test_the_picture_shows_what_the_commands_print() -> None:
    drawn = words(await draw())
    assert "Release" in drawn
    assert drawn == words(PICTURE.read_text(encoding="utf-8")), "run `python -m scripts.console_picture`"


def test_the_picture_loads_nothing_from_elsewhere() -> None:
    assert "url(http" not in PICTURE.read_text(encoding="utf-8").replace('"', "")
