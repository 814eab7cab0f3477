"""The keys that one run of a job function has used."""

from __future__ import annotations

from typing import Any

from askback._model.nonretryable import DuplicateKey, InvalidKey

MAX_BYTES = 200
"""The server's limit of a key, in bytes of UTF-8."""


class Keys:
    """The keys of one kind, `ask` or `step`: each may be used once in a run.

    Questions and steps are stored separately, so a question and a step may share a key.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._used: set[str] = set()

    def use(self, key: Any) -> None:
        """Mark a key as used. Raises InvalidKey for a malformed key, DuplicateKey for a used one."""
        if not isinstance(key, str):
            raise InvalidKey(f"the key of a {self._noun} must be a str, not {type(key).__name__}: {key!r}")
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            size = 0
        if not 0 < size <= MAX_BYTES or "\0" in key:
            raise InvalidKey(
                f"the key of a {self._noun} must be 1 to {MAX_BYTES} bytes of text without NUL: {key[:60]!r}"
            )
        if key in self._used:
            raise DuplicateKey(
                f"the {self._kind} key {key!r} was used before in this run of the job; the second use would "
                f"get the first one's result. Give every {self._noun} a key of its own, for example "
                f'key=f"{key[:60]}-{{row_id}}"',
                key=key,
            )
        self._used.add(key)

    def free(self, key: str) -> None:
        """Allow the key to be used again, because it got no result."""
        self._used.discard(key)

    @property
    def _noun(self) -> str:
        return "step" if self._kind == "step" else "question"
