"""Worker functions: how a job's input becomes arguments, and their result JSON."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from askback.errors import NonRetryable

if TYPE_CHECKING:
    from askback.client import Client
    from askback.job import Job
    from askback.run import Run

P = ParamSpec("P")
R = TypeVar("R")
_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class InvalidInput(NonRetryable):
    """The job's input does not fit the function's parameters."""


class JobHandler(Generic[P, R]):
    """A registered worker function; calling it calls the function."""

    def __init__(self, job_type: str, function: Callable[Concatenate[Job, P], Awaitable[R]]) -> None:
        self.job_type = job_type
        self.function = function
        self.__name__ = getattr(function, "__name__", job_type)
        self.__doc__ = function.__doc__
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters:
            raise TypeError(f"{self.__name__} must take the job as its first parameter")
        self._parameters = parameters[1:]

    async def __call__(self, job: Job, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function."""
        return await self.function(job, *args, **kwargs)

    async def start(self, client: Client, /, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Start a job of this type with these arguments as its input. Raises as Client.start."""
        signature = inspect.Signature(self._parameters)
        bound = signature.bind(*args, **kwargs)
        values: dict[str, Any] = {}
        for parameter in self._parameters:
            if parameter.name not in bound.arguments:
                continue
            value = bound.arguments[parameter.name]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                values.update(value)
            else:
                values[parameter.name] = value
        return await client.start(self.job_type, values)

    def bind(self, value: Any) -> dict[str, Any]:
        """The keyword arguments for a job's input, converted to the annotated types.

        An input that is not an object goes to the only parameter. Raises InvalidInput.
        """
        if value is None:
            value = {}
        if not isinstance(value, dict):
            names = [p.name for p in self._parameters if p.kind in _KEYWORD]
            if len(names) != 1:
                raise InvalidInput(f"{self.job_type} takes an object as input, not {type(value).__name__}")
            value = {names[0]: value}
        free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self._parameters)
        known = {p.name: p for p in self._parameters if p.kind in _KEYWORD}
        if not free and (extra := [name for name in value if name not in known]):
            raise InvalidInput(f"{self.job_type} does not take {', '.join(extra)}")
        missing = [n for n, p in known.items() if p.default is p.empty and n not in value]
        if missing:
            raise InvalidInput(f"{self.job_type} needs {', '.join(missing)}")
        return {name: self._convert(name, item) for name, item in value.items()}

    def _convert(self, name: str, value: Any) -> Any:
        if not self._adapters:
            hints = _hints(self.function)
            self._adapters = {
                p.name: TypeAdapter(hints.get(p.name, Any)) for p in self._parameters if p.kind in _KEYWORD
            }
        adapter = self._adapters.get(name)
        if adapter is None:
            return value
        try:
            return adapter.validate_json(to_json(value))
        except ValidationError as error:
            raise InvalidInput(f"{name}: {error}") from None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations; none if they name what cannot be found from here."""
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        return {}


def result_type(function: Callable[..., Any]) -> Any:
    """What a step's function says that it returns; Any if it does not."""
    return _hints(function).get("return", Any) if inspect.isroutine(function) else Any


def encoded(value: Any) -> str:
    """JSON text of a result; empty for None. Raises ValueError for what JSON cannot hold."""
    return "" if value is None else to_json(value).decode()
