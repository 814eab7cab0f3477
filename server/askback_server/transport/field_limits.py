"""The door: refuses a message that holds more than `domain/field_limits.py` allows.

It runs before anything else is done with a message, so that no list and no text of a caller is ever
walked, sorted, copied or made a statement of before its size is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from askback_server.domain.errors import InvalidField
from askback_server.domain.field_limits import FIELD_LIMITS, FieldLimit
from askback_server.domain.json_text import MAX_VIOLATIONS, Violation
from askback_server.domain.limits import Limits

_Path: TypeAlias = "tuple[_Path | None, str]"
"""Where a value stands: the path of what holds it, and its own part. It becomes text only in a violation."""
_Check: TypeAlias = Callable[[Any, _Path, Limits, list[Violation]], None]
"""(value of a field, its path, limits, found): adds what is wrong with the value to `found`."""

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def check_fields(message: Message, limits: Limits, *, under: str = "") -> None:
    """Raise InvalidField for what is too long or has too many entries, nested messages included.

    `under` is where the message stands in its request, for the violations' paths. The repeated `frames`
    of a stream's message are counted and not entered: `check_frame` checks each as it is taken, so that
    one bad frame is refused by its own `ref`.
    """
    found: list[Violation] = []
    _check_message(message, (None, under) if under else None, limits, found)
    if found:
        raise InvalidField(tuple(found))


def check_frame(frame: Message, limits: Limits) -> None:
    """The same for what a client frame holds; paths begin as those of the unary call, or at `hello`."""
    name = frame.WhichOneof("body")
    if name is not None:
        check_fields(getattr(frame, name), limits, under=name if name == "hello" else "")


def _check_message(message: Any, at: _Path | None, limits: Limits, found: list[Violation]) -> None:
    checks = _checks(message.DESCRIPTOR)
    for field, value in message.ListFields():
        known = checks.get(field.number)
        if known is not None:
            name, check = known
            check(value, (at, name), limits, found)
            if len(found) >= MAX_VIOLATIONS:
                return


@cache
def _checks(descriptor: Descriptor) -> dict[int, tuple[str, _Check]]:
    """Names and checks of a message's fields by number; there are as many messages as the contract has."""
    limits = FIELD_LIMITS.get(descriptor.name, {})
    checks: dict[int, tuple[str, _Check]] = {}
    for field in descriptor.fields:
        limit = limits.get(field.name, FieldLimit())
        if field.is_repeated:
            checks[field.number] = field.name, _of_list(field, limit)
        elif field.message_type is not None:
            checks[field.number] = field.name, _check_message
        elif field.type in _TEXTS and limit.text:
            checks[field.number] = field.name, _of_text(limit.text)
    return checks


def _text(at: _Path) -> str:
    """A path as violations name it: `form.questions[3].title`."""
    parent, part = at
    if parent is None:
        return part
    return _text(parent) + (part if part.startswith("[") else f".{part}")


def _of_text(name: str) -> _Check:
    most_of = attrgetter(name)

    def check(value: str | bytes, at: _Path, limits: Limits, found: list[Violation]) -> None:
        most = most_of(limits)
        # A character is at most 4 bytes: what is short is not measured.
        if len(value) * 4 > most:
            size = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
            if size > most:
                text = f"is {size} bytes long; at most {most} are allowed ({name})"
                found.append(Violation(_text(at), text))

    return check


def _of_list(field: FieldDescriptor, limit: FieldLimit) -> _Check:
    each, most_of = _of_entries(field, limit), attrgetter(limit.entries)

    def check(value: Any, at: _Path, limits: Limits, found: list[Violation]) -> None:
        count, most = len(value), most_of(limits)
        if count > most:
            text = f"has {count} entries; at most {most} are allowed ({limit.entries})"
            found.append(Violation(_text(at), text))
        elif each is not None:
            each(value, at, limits, found)

    return check


def _of_entries(field: FieldDescriptor, limit: FieldLimit) -> _Check | None:
    """The check of the entries of a list that is not too long."""
    kind = field.message_type
    if limit.entries == "frames_per_message" or (kind is None and not limit.text):
        return None
    if kind is not None and kind.GetOptions().map_entry:
        of_key, of_value = _of_text(limit.key), _of_text(limit.text)

        def each_pair(value: Any, at: _Path, limits: Limits, found: list[Violation]) -> None:
            for key, text in value.items():
                entry = (at, f"[{key[:40]!r}]")
                of_key(key, entry, limits, found)
                of_value(text, entry, limits, found)
                if len(found) >= MAX_VIOLATIONS:
                    return

        return each_pair
    of_item = _check_message if kind is not None else _of_text(limit.text)

    def each_item(value: Any, at: _Path, limits: Limits, found: list[Violation]) -> None:
        for index, item in enumerate(value):
            of_item(item, (at, f"[{index}]"), limits, found)
            if len(found) >= MAX_VIOLATIONS:
                return

    return each_item
