"""Text that others wrote, made safe for a terminal."""

from __future__ import annotations

import re

_HIDDEN = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""What turns the direction of text around, so that a line reads as something else."""
_UNSEEN = "\u00ad\u200b\u2060-\u2065\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f"
"""What is not seen at all; joiners (U+200C, U+200D) are kept, as scripts need them."""
_CONTROLS = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_HIDDEN}{_UNSEEN}\ud800-\udfff\ufeff]")
_NOT_PRINTABLE_JSON = re.compile(f"[\x7f-\x9f\u2028\u2029{_HIDDEN}\ud800-\udfff\ufeff]")


def clean(text: object) -> str:
    """The text without control characters and marks of direction; line breaks and tabs stay."""
    return _CONTROLS.sub("", str(text).replace("\r\n", "\n"))


def one_line(text: object, width: int = 0) -> str:
    """The text cleaned and on one line; cut to `width` characters if that is not 0."""
    line = " ".join(clean(text).split())
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def clean_json(text: str) -> str:
    """JSON text with the same characters escaped: safe to look at, and the same value."""
    return _NOT_PRINTABLE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
