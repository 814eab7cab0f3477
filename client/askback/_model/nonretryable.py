"""What a worker's function raises to fail its job for good.

NonRetryable             raised by you: every attempt would end like this one
├── DuplicateKey           one key for two questions, or two steps, in one run
├── InvalidKey             a key that cannot be one
├── InvalidStep            a step that cannot be made, or whose result does not fit
├── InvalidAnswer          a form's validators refused what people answered, three times
└── InvalidValue           an argument that the SDK refuses; a ValueError too
    └── InvalidTime          a naive datetime, or a span that is not longer than 0 s
"""

from __future__ import annotations


class NonRetryable(Exception):
    """Raise it, or a subclass, in a worker function: the job fails for good, whatever attempts are left.

    `code` is the failure's code; the class's name if empty.
    """

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class InvalidAnswer(NonRetryable):
    """A validator of the worker's form refused what people answered, and asking again did not help."""


class InvalidValue(NonRetryable, ValueError):
    """An argument that the SDK refuses: a default that does not fit its form, progress beyond its total.

    In a worker function it fails the job for good, as the server's InvalidArgument does.
    """


class InvalidTime(InvalidValue):
    """A time or a span of time that the SDK refuses: naive, not longer than 0 s, NaN or infinite."""


class DuplicateKey(NonRetryable):
    """The function used one key for two questions, or for two steps, in one run. Nothing was sent.

    A key is free again if its question or step raised without a result: a step whose function raised, a
    question that was cancelled, or refused by the server. One that expired, was declined or was withdrawn
    has its result, and needs another key to be asked again.
    """

    def __init__(self, message: str = "", *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class InvalidKey(NonRetryable):
    """The key of a question or step is not text, is empty, or is too long. Nothing was done."""


class InvalidStep(NonRetryable):
    """A step cannot be made, or its result cannot be kept or does not fit the function's annotation.

    What the function did is not repeated.
    """


# Tracebacks and pickles show the public names: `askback.InvalidKey`.
for _class in (NonRetryable, InvalidAnswer, InvalidValue, InvalidTime, DuplicateKey, InvalidKey, InvalidStep):
    _class.__module__ = "askback"
