"""Refuses a message that holds more than `domain/field_limits.py` allows.

This runs before anything else is done with a message: no list and no text of a caller is walked, sorted,
copied or put into a statement before its size is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from askback_server.domain.checks import Checker
from askback_server.domain.field_limits import FIELD_LIMITS, FieldLimit
from askback_server.domain.json_text import MAX_VIOLATIONS
from askback_server.domain.limits import Limits

_Path: TypeAlias = "tuple[_Path | None, str | int]"
"""The path of a value: its parent's path, and its own name, index or key. It is joined only for a
violation."""
# The value is Any: a text, bytes, a message, or one of protobuf's repeated and map containers.
_Check: TypeAlias = Callable[[Any, _Path, Checker], None]
"""(value of a field, its path, check): notes in `check` what is wrong with the value."""
_Entry: TypeAlias = tuple[str, Callable[[Limits], int] | None, _Check]
"""Name, limit and check of a field. The limit is that of a text: a short one is not checked further."""

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def check_fields(message: Message, limits: Limits, *, under: str = "") -> None:
    """Raise InvalidField for texts that are too long and lists with too many entries, at any depth.

    `under` is the path of the message in its request, for the paths of violations. The repeated `frames`
    of a stream's message are only counted: `check_frame` checks each one when it is taken, so that one
    bad frame is refused by its own `ref`.
    """
    check = Checker(limits)
    _check_message(message, (None, under) if under else None, check)
    check.done()


def check_frame(frame: Message, limits: Limits) -> None:
    """The same for the body of a client frame. Paths start like those of the unary call, or with `hello`."""
    name = frame.WhichOneof("body")
    if name is not None:
        check_fields(getattr(frame, name), limits, under=name if name == "hello" else "")


def _check_message(message: Message, at: _Path | None, check: Checker) -> None:
    checks, limits = _checks(message.DESCRIPTOR), check.limits
    for field, value in message.ListFields():
        entry = checks.get(field.number)
        if entry is None:
            continue
        name, text_limit, check_value = entry
        # A character takes at most 4 bytes, so most texts need not be encoded.
        if text_limit is not None and len(value) * 4 <= text_limit(limits):
            continue
        check_value(value, (at, name), check)
        if len(check.found) >= MAX_VIOLATIONS:
            return


@cache
def _checks(descriptor: Descriptor) -> dict[int, _Entry]:
    """The limited fields by number. The cache is as large as the contract has messages."""
    limits = FIELD_LIMITS.get(descriptor.name, {})
    checks: dict[int, _Entry] = {}
    for field in descriptor.fields:
        limit = limits.get(field.name, FieldLimit())
        if field.is_repeated:
            checks[field.number] = field.name, None, _list_check(field, limit)
        elif field.message_type is not None:
            checks[field.number] = field.name, None, _check_message
        elif field.type in _TEXTS and limit.text:
            checks[field.number] = field.name, attrgetter(limit.text), _text_check(limit.text)
    return checks


def _join(at: _Path) -> str:
    """A path as text: `form.questions[3].title`."""
    parent, part = at
    if isinstance(part, int):
        part = f"[{part}]"
    if parent is None:
        return part
    return _join(parent) + (part if part.startswith("[") else f".{part}")


def _text_check(name: str) -> _Check:
    limit_of = attrgetter(name)

    def check_text(value: str | bytes, at: _Path, check: Checker) -> None:
        maximum = limit_of(check.limits)
        size = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
        if size > maximum:
            check.bad(_join(at), f"is {size} bytes long; at most {maximum} are allowed ({name})")

    return check_text


def _list_check(field: FieldDescriptor, limit: FieldLimit) -> _Check:
    each, limit_of = _entries_check(field, limit), attrgetter(limit.entries)

    def check_list(value: Any, at: _Path, check: Checker) -> None:
        count, maximum = len(value), limit_of(check.limits)
        if count > maximum:
            text = f"has {count} entries; at most {maximum} are allowed ({limit.entries})"
            check.bad(_join(at), text)
        elif each is not None:
            each(value, at, check)

    return check_list


def _entries_check(field: FieldDescriptor, limit: FieldLimit) -> _Check | None:
    """The check of the entries of a list of allowed length; None if entries are not limited."""
    kind = field.message_type
    if limit.entries == "frames_per_message" or (kind is None and not limit.text):
        return None
    if kind is not None and kind.GetOptions().map_entry:
        check_key, check_text = _text_check(limit.key), _text_check(limit.text)

        def check_pairs(value: Any, at: _Path, check: Checker) -> None:
            for key, text in value.items():
                entry = (at, f"[{key[:40]!r}]")
                check_key(key, entry, check)
                check_text(text, entry, check)
                if len(check.found) >= MAX_VIOLATIONS:
                    return

        return check_pairs
    check_item = _check_message if kind is not None else _text_check(limit.text)

    def check_items(value: Any, at: _Path, check: Checker) -> None:
        for index, item in enumerate(value):
            check_item(item, (at, index), check)
            if len(check.found) >= MAX_VIOLATIONS:
                return

    return check_items
