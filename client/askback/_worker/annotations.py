"""What a function's annotations say, and what is wrong with a value that does not fit one."""

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
    """The annotations of a function, partial or callable object; none if they name what cannot be found."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        return {}


def result_type(function: Callable[..., Any]) -> Any:
    """The annotated result of a function, without the awaitable around it; Any if it has none."""
    if inspect.isclass(function):
        return Any
    found = hints_of(function).get("return", Any)
    if get_origin(found) in _AWAITABLES:
        found = (get_args(found) or (Any,))[-1]
    return found


def faults(name: str, error: ValidationError) -> Iterator[str]:
    """What is wrong with an argument, place by place: `items.0.price: Input should be a valid number`."""
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        yield f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}"
