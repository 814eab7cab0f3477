"""Checks job types and functions at decoration: refuses those that could never run."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

_JOB_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/]*\Z")
_MAX_JOB_TYPE_CHARS = 128
_FIRST = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def check_job_type(job_type: Any) -> None:
    """Raise TypeError unless it is a str, ValueError for one that the server refuses as a job type."""
    if isinstance(job_type, str):
        if len(job_type) > _MAX_JOB_TYPE_CHARS or not _JOB_TYPE.match(job_type):
            shown = f"{job_type[:60]!r}{' …' if len(job_type) > 60 else ''}"
            raise ValueError(
                f"{shown} is no job type: it must be 1 to {_MAX_JOB_TYPE_CHARS} letters, digits, '_', '.', "
                "'-' or '/', starting with a letter or digit"
            )
        return
    if callable(job_type):
        name = name_of(job_type)
        raise TypeError(
            f'name the job type: write @worker.job("{name}") above {name}, with parentheses and a text'
        )
    raise TypeError(f'the job type must be a str, not {type(job_type).__name__}: write @worker.job("refund")')


def check_function(function: Any) -> Sequence[inspect.Parameter]:
    """The parameters of a job function; the first is the job.

    Accepts an `async def` function, a bound method, a functools.partial of one, and an object whose
    `__call__` is one. Raises TypeError for anything else; its text shows what to write instead.
    """
    name = name_of(function)
    if inspect.isclass(function):
        raise TypeError(f"{name} is a class: decorate an async function, or register an object of the class")
    if isinstance(function, staticmethod | classmethod):
        raise TypeError(
            f"{name} is a {type(function).__name__}: register it where it is bound, "
            f'worker.job("…")(Owner.{name})'
        )
    if not callable(function):
        raise TypeError(f"a job needs an async function, not {type(function).__name__}: {function!r}"[:300])
    if _is(inspect.isasyncgenfunction, function):
        raise TypeError(
            f"{name} is an async generator: it yields, and a job has one result. Return it, and report on "
            "the way with `await job.progress(...)`"
        )
    if not _is(inspect.iscoroutinefunction, function):
        if name == "<lambda>":
            raise TypeError("a lambda cannot run a job: write `async def name(job, ...)`")
        raise TypeError(
            f"{name} must be async: write `async def {name}(job, ...)`, and call what blocks by "
            "`await asyncio.to_thread(...)`. A decorator around an async function must be async too"
        )
    return _parameters(function, name)


def _parameters(function: Any, name: str) -> Sequence[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _FIRST:
        raise TypeError(
            f"{name} must take the job as its first parameter: write `async def {name}(job, ...)`"
        )
    if parameters[0].name in ("self", "cls"):
        raise TypeError(
            f"{name} is a method without its object: register the bound one, "
            f'worker.job("…")(owner.{name}), or decorate a function'
        )
    for parameter in parameters[1:]:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(
                f"{name} takes {parameter.name!r} by position only, and the input's fields come by name: "
                "remove the '/'"
            )
    return parameters


def _is(test: Callable[[Any], bool], function: Any) -> bool:
    """Whether the test is true for the function, or for the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return test(function) or test(getattr(function, "__call__", None))  # noqa: B004


def name_of(function: Any) -> str:
    """The name of a function, of a partial's function, or of an object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
