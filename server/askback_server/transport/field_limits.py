"""The door: refuses a message that holds more than `domain/field_limits.py` allows.

It runs before anything else is done with a message, so that no list and no text of a caller is ever
walked, sorted, copied or made a statement of before its size is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from askback_server.domain.errors import InvalidField
from askback_server.domain.field_limits import FIELD_LIMITS, FieldLimit, limit_value
from askback_server.domain.json_text import MAX_VIOLATIONS, Violation
from askback_server.domain.limits import Limits

_Check: TypeAlias = Callable[[Any, str], Iterator[Violation]]

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


class FieldLimits:
    """Checks messages of any type. One for the whole server: what it knows of a type is made once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._checks: dict[Descriptor, dict[str, _Check]] = {}

    def check(self, message: Message, *, under: str = "") -> None:
        """Raise InvalidField for what is too long or has too many entries, nested messages included.

        `under` is where the message stands in its request, for the violations' paths. The repeated
        `frames` of a stream's message are counted and not entered: each is checked as it is taken, so
        that one bad frame is refused by its own `ref`.
        """
        found: list[Violation] = []
        for violation in self._violations(message, f"{under}." if under else ""):
            found.append(violation)
            if len(found) == MAX_VIOLATIONS:
                break
        if found:
            raise InvalidField(found)

    def check_frame(self, frame: Message) -> None:
        """The same for what a client frame holds; paths begin as those of the unary call, or at `hello`."""
        name = frame.WhichOneof("body")
        if name is not None:
            self.check(getattr(frame, name), under=name if name == "hello" else "")

    def _violations(self, message: Any, prefix: str) -> Iterator[Violation]:
        descriptor = message.DESCRIPTOR
        checks = self._checks.get(descriptor)
        if checks is None:
            checks = self._checks[descriptor] = self._compiled(descriptor)
        for field, value in message.ListFields():
            check = checks.get(field.name)
            if check is not None:
                yield from check(value, prefix + field.name)

    def _compiled(self, descriptor: Descriptor) -> dict[str, _Check]:
        limits = FIELD_LIMITS.get(descriptor.name, {})
        checks: dict[str, _Check] = {}
        for field in descriptor.fields:
            limit = limits.get(field.name, FieldLimit())
            if field.is_repeated:
                checks[field.name] = self._list(field, limit)
            elif field.message_type is not None:
                checks[field.name] = lambda value, at: self._violations(value, f"{at}.")
            elif field.type in _TEXTS and limit.text:
                checks[field.name] = self._text(limit.text)
        return checks

    def _list(self, field: FieldDescriptor, limit: FieldLimit) -> _Check:
        most = limit_value(self._limits, limit.entries)
        kind = field.message_type
        is_map = kind is not None and kind.GetOptions().map_entry
        each: _Check | None = None
        if is_map:
            of_key, of_value = self._text(limit.key), self._text(limit.text)

            def each(value: Any, at: str) -> Iterator[Violation]:
                for key, text in value.items():
                    entry = f"{at}[{key[:40]!r}]"
                    yield from of_key(key, entry)
                    yield from of_value(text, entry)

        elif limit.entries == "frames_per_message":
            pass
        elif kind is not None:

            def each(value: Any, at: str) -> Iterator[Violation]:
                for index, item in enumerate(value):
                    yield from self._violations(item, f"{at}[{index}].")

        elif limit.text:
            of_text = self._text(limit.text)

            def each(value: Any, at: str) -> Iterator[Violation]:
                for index, item in enumerate(value):
                    yield from of_text(item, f"{at}[{index}]")

        def check(value: Any, at: str) -> Iterator[Violation]:
            count = len(value)
            if count > most:
                yield Violation(at, f"has {count} entries; at most {most} are allowed ({limit.entries})")
            elif each is not None:
                yield from each(value, at)

        return check

    def _text(self, name: str) -> _Check:
        most = limit_value(self._limits, name)

        def check(value: str | bytes, at: str) -> Iterator[Violation]:
            # A character is at most 4 bytes: what is short is not measured.
            if len(value) * 4 > most:
                size = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
                if size > most:
                    yield Violation(at, f"is {size} bytes long; at most {most} are allowed ({name})")

        return check
