"""Reads the annotations of functions, and describes values that do not fit them."""

from __future__ import annotations

import asyncio
import collections.abc
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import ValidationError

_AWAITABLES = (collections.abc.Awaitable, collections.abc.Coroutine, asyncio.Future, asyncio.Task)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, partial or callable object; empty if a name in them is undefined."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        return {}


def result_type(function: Callable[..., Any]) -> Any:
    """The annotated result type of a function, without the awaitable around it; Any if it has none."""
    if inspect.isclass(function):
        return Any
    found = hints_of(function).get("return", Any)
    if get_origin(found) in _AWAITABLES:
        found = (get_args(found) or (Any,))[-1]
    return found


def faults(name: str, error: ValidationError) -> Iterator[str]:
    """Describe each fault of an argument: `items.0.price: Input should be a valid number`."""
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        yield f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}"
