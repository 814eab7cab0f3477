"""Makes text from other people safe for a terminal: no control sequences, hidden characters or look-alikes.

Invisible characters are shown as `<U+202E>` and long padding as `<300 spaces>`. So two texts that look the
same are the same, and no text pushes another off the screen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_SPACES = 16
"""A longer run of spaces within a line is replaced by its length; a tab counts as four."""
MAX_INDENT = 64
"""The same limit for spaces at the beginning of a line."""
MAX_MARKS = 4
"""Maximum number of accents on one letter, and of unusual spaces in a row, that are shown unchanged."""
MAX_EMPTY_LINES = 3
"""Maximum number of empty lines in a row that are shown unchanged."""
_TAB_WIDTH = 4
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff"
)
"""Characters that Unicode calls ignorable, that look blank (braille blank, fillers, object marks), or that
have no defined appearance (private use)."""
_HIDDEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_IGNORABLE}]")
_SUSPECTS = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_IGNORABLE}]|[^\x00-\u02ff\u3041-\ud7a3]"
)
"""Characters that need a check one by one; most text has none."""
_BLANKS = re.compile(r"[^\S\n]{2,}|[^\S\n \t]")
_EMPTY = re.compile(rf"(?:^[^\S\n]*\n){{{MAX_EMPTY_LINES + 1},}}", re.MULTILINE)
_JOINERS = "\u200c\u200d"
_VARIATIONS = "\ufe0e\ufe0f"
_AS_EMOJI = "\ufe0f"
_KEYCAP = "\u20e3"
_UNPRINTABLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_EMOJI = ("\U0001f000", "\U0001fbff")
"""The range of emoji; some are newer than this Python's Unicode tables."""
_WORDS = re.compile(r"[^\W\d_]+")
_MARKS = ("Mn", "Me")


def clean(text: object) -> str:
    """Write out every character that is invisible or that moves other text.

    Line breaks, tabs and ordinary spaces stay, and so do the characters that scripts and emoji need: an
    accent on a letter, a joiner between letters of scripts that join, a variation selector after a symbol.
    """
    found = _BLANKS.sub(_count_spaces, visible(text))
    return _EMPTY.sub(lambda run: f"<{run[0].count(chr(10))} empty lines>\n", found)


def visible(text: object) -> str:
    """Like `clean`, but keeps padding: for text that has been laid out already."""
    found = str(text).replace("\r\n", "\n")
    if not _SUSPECTS.search(found):
        return found
    return _WORDS.sub(_one_script, "".join(_letters(found)))


def one_line(text: object, width: int = 0) -> str:
    """Clean the text and join it to one line of at most `width` columns (0: unlimited)."""
    return cut(" ".join(clean(text).split()), width)


def clean_json(text: str) -> str:
    """Escape invisible characters in JSON text; the value stays the same."""

    def escape(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))

    return _HIDDEN.sub(escape, text)


def strip_hidden(text: object) -> str:
    """Remove invisible characters: for values that a script may print to a terminal."""
    return _HIDDEN.sub("", str(text).replace("\r\n", "\n"))


def columns(text: str) -> int:
    """The number of columns that a terminal needs for one line of clean text."""
    return sum(_widths(text))


def cut(line: str, width: int) -> str:
    """Cut one line of clean text to `width` columns and end it with an ellipsis; 0: leave it as it is."""
    if not width or columns(line) <= width:
        return line
    room, kept = width - 1, ""
    for letter, size in zip(line, _widths(line), strict=True):
        room -= size
        if room < 0:
            break
        kept += letter
    return kept.rstrip(_JOINERS) + "…"


def _widths(text: str) -> Iterator[int]:
    """The number of columns that each character adds. A symbol shown as an emoji is two wide."""
    before = 0
    for letter in text:
        width = _width(letter)
        if letter == _AS_EMOJI and before == 1:
            width = 1
        before = width
        yield width


def _width(letter: str) -> int:
    if letter < "\u0300":
        return 1
    if unicodedata.category(letter) in _MARKS or letter in _JOINERS + _VARIATIONS:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _letters(text: str) -> Iterable[str]:
    """The text with each invisible character written out."""
    marks = ""
    for place, letter in enumerate(text):
        category = unicodedata.category(letter) if letter > "\x7f" else ""
        if category in _MARKS and not _HIDDEN.match(letter):
            marks += letter
            continue
        yield _accents(marks)
        marks = ""
        unknown = category in _UNPRINTABLE and not (category == "Cn" and _EMOJI[0] <= letter <= _EMOJI[1])
        if letter in "\n\t" or not (unknown or _HIDDEN.match(letter)) or _is_needed(text, place):
            yield letter
        else:
            yield f"<U+{ord(letter):04X}>"
    yield _accents(marks)


def _accents(marks: str) -> str:
    if len(marks) <= MAX_MARKS:
        return marks
    return f"<{len(marks)} marks, U+{ord(marks[0]):04X} the first>"


def _is_needed(text: str, place: int) -> bool:
    """Whether an invisible character has its intended effect at this place."""
    letter, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if letter in _VARIATIONS:
        return bool(before) and (
            unicodedata.category(before) in ("So", "Sm")
            or before in "‼⁉〰"
            or (before in "#*0123456789" and after == _KEYCAP)
        )
    if letter in _JOINERS and before and after:
        return all(_joins(side) for side in (before, after))
    return False


def _joins(letter: str) -> bool:
    """Whether a joiner has an effect beside this letter: emoji, and scripts from Arabic to those of India."""
    return (
        letter in _VARIATIONS
        or unicodedata.category(letter) in ("So", "Sk")
        or "\u0600" <= letter <= "\u0fff"
    )


def _one_script(word: re.Match[str]) -> str:
    """Write out the Cyrillic letters of a word that also has Latin ones: the two look alike."""
    text = word[0]
    if not any("\u0400" <= letter <= "\u052f" for letter in text):
        return text
    if not any(letter.isascii() for letter in text):
        return text
    return "".join(f"<U+{ord(c):04X}>" if "\u0400" <= c <= "\u052f" else c for c in text)


def _count_spaces(run: re.Match[str]) -> str:
    blanks = run[0]
    start = run.start() == 0 or run.string[run.start() - 1] == "\n"
    maximum = MAX_INDENT if start else MAX_SPACES
    honest = all(letter in " \t" for letter in blanks)
    if honest and len(blanks) + (_TAB_WIDTH - 1) * blanks.count("\t") <= maximum:
        return blanks
    if len(blanks) <= MAX_MARKS:
        return " " * len(blanks)
    return f"<{len(blanks)} spaces>"


def cut_bytes(text: str, maximum: int) -> str:
    """The text in at most `maximum` bytes of UTF-8, with an ellipsis at its end if it is cut."""
    encoded = text.encode()
    return text if len(encoded) <= maximum else encoded[: maximum - 3].decode(errors="ignore") + "…"
