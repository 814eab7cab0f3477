"""The door: refuses a message that holds more than `domain/field_limits.py` allows.

It runs before anything else is done with a message, so that no list and no text of a caller is ever
walked, sorted, copied or made a statement of before its size is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from askback_server.domain.errors import InvalidField
from askback_server.domain.field_limits import FIELD_LIMITS, FieldLimit, limit_value
from askback_server.domain.json_text import MAX_VIOLATIONS, Violation
from askback_server.domain.limits import Limits

_Check: TypeAlias = Callable[[Any, str, Limits], Iterator[Violation]]
"""(value of a field, its path, limits) -> what is wrong with it."""

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def check_fields(message: Message, limits: Limits, *, under: str = "") -> None:
    """Raise InvalidField for what is too long or has too many entries, nested messages included.

    `under` is where the message stands in its request, for the violations' paths. The repeated `frames`
    of a stream's message are counted and not entered: `check_frame` checks each as it is taken, so that
    one bad frame is refused by its own `ref`.
    """
    found = tuple(islice(_violations(message, f"{under}." if under else "", limits), MAX_VIOLATIONS))
    if found:
        raise InvalidField(found)


def check_frame(frame: Message, limits: Limits) -> None:
    """The same for what a client frame holds; paths begin as those of the unary call, or at `hello`."""
    name = frame.WhichOneof("body")
    if name is not None:
        check_fields(getattr(frame, name), limits, under=name if name == "hello" else "")


def _violations(message: Any, prefix: str, limits: Limits) -> Iterator[Violation]:
    checks = _checks(message.DESCRIPTOR)
    for field, value in message.ListFields():
        check = checks.get(field.name)
        if check is not None:
            yield from check(value, prefix + field.name, limits)


@cache
def _checks(descriptor: Descriptor) -> dict[str, _Check]:
    """The checks of a message's fields by name; there are as many messages as the contract has."""
    limits = FIELD_LIMITS.get(descriptor.name, {})
    checks: dict[str, _Check] = {}
    for field in descriptor.fields:
        limit = limits.get(field.name, FieldLimit())
        if field.is_repeated:
            checks[field.name] = _of_list(field, limit)
        elif field.message_type is not None:
            checks[field.name] = _of_message
        elif field.type in _TEXTS and limit.text:
            checks[field.name] = _of_text(limit.text)
    return checks


def _of_message(value: Any, at: str, limits: Limits) -> Iterator[Violation]:
    return _violations(value, f"{at}.", limits)


def _of_text(name: str) -> _Check:
    def check(value: str | bytes, at: str, limits: Limits) -> Iterator[Violation]:
        most = limit_value(limits, name)
        # A character is at most 4 bytes: what is short is not measured.
        if len(value) * 4 > most:
            size = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
            if size > most:
                yield Violation(at, f"is {size} bytes long; at most {most} are allowed ({name})")

    return check


def _of_list(field: FieldDescriptor, limit: FieldLimit) -> _Check:
    each = _of_entries(field, limit)

    def check(value: Any, at: str, limits: Limits) -> Iterator[Violation]:
        count, most = len(value), limit_value(limits, limit.entries)
        if count > most:
            yield Violation(at, f"has {count} entries; at most {most} are allowed ({limit.entries})")
        elif each is not None:
            yield from each(value, at, limits)

    return check


def _of_entries(field: FieldDescriptor, limit: FieldLimit) -> _Check | None:
    """The check of the entries of a list that is not too long."""
    kind = field.message_type
    if limit.entries == "frames_per_message" or (kind is None and not limit.text):
        return None
    if kind is not None and kind.GetOptions().map_entry:
        of_key, of_value = _of_text(limit.key), _of_text(limit.text)

        def each_pair(value: Any, at: str, limits: Limits) -> Iterator[Violation]:
            for key, text in value.items():
                entry = f"{at}[{key[:40]!r}]"
                yield from of_key(key, entry, limits)
                yield from of_value(text, entry, limits)

        return each_pair
    of_item = _of_message if kind is not None else _of_text(limit.text)

    def each_item(value: Any, at: str, limits: Limits) -> Iterator[Violation]:
        for index, item in enumerate(value):
            yield from of_item(item, f"{at}[{index}]", limits)

    return each_item
