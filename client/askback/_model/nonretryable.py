"""Errors in a job's function that fail the job for good.

NonRetryable             raised by you: every attempt would fail in the same way
├── DuplicateKey           one key for two questions, or two steps, in one run
├── InvalidKey             a malformed key
├── InvalidStep            a step that cannot run, or whose result cannot be stored or converted
├── InvalidAnswer          a form's validators refused what people answered, three times
└── InvalidValue           an argument that the SDK refuses; a ValueError too
    └── InvalidTime          a naive datetime, or a span that is not longer than 0 s
"""

from __future__ import annotations


class NonRetryable(Exception):
    """Raise it, or a subclass, in a job's function: the job fails for good, with no further attempts.

    `code` is the failure's code; the class's name if empty.
    """

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class InvalidAnswer(NonRetryable):
    """A validator of the worker's form refused the answer, and asking again did not help."""


class InvalidValue(NonRetryable, ValueError):
    """An argument that the SDK refuses: a default that does not fit its form, progress beyond its total.

    In a worker function it fails the job for good, as the server's InvalidArgument does.
    """


class InvalidTime(InvalidValue):
    """A time or a span of time that the SDK refuses: naive, not longer than 0 s, NaN or infinite."""


class DuplicateKey(NonRetryable):
    """The function used one key for two questions, or for two steps, in one run. Nothing was sent.

    A key may be used again if its question or step ended without a result: a step whose function raised, a
    question whose wait was cancelled or that the server refused. A question that expired, was declined or
    was withdrawn has a result; use another key to ask it again.
    """

    def __init__(self, message: str = "", *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class InvalidKey(NonRetryable):
    """The key of a question or step is not a str, is empty, or is too long. Nothing was sent."""


class InvalidStep(NonRetryable):
    """A step cannot run, or its result cannot be stored or does not fit the function's annotation.

    The function is not called again.
    """


# Tracebacks and pickles show the public names: `askback.InvalidKey`.
for _class in (NonRetryable, InvalidAnswer, InvalidValue, InvalidTime, DuplicateKey, InvalidKey, InvalidStep):
    _class.__module__ = "askback"
