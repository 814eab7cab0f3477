"""Job functions: converts a job's input to arguments, and the result to JSON."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    Unpack,
)

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from askback._client.client import Client, current_client
from askback._client.unawaited import must_await
from askback._model.json_text import dumps, fit
from askback._model.nonretryable import NonRetryable
from askback._worker.annotations import faults, hints_of, result_type
from askback._worker.job_function import check_function

if TYPE_CHECKING:
    from askback._client.job_calls import StartOptions
    from askback._client.run import Run
    from askback._worker.job import Job

P = ParamSpec("P")
R = TypeVar("R")
_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class InvalidInput(NonRetryable):
    """The job's input does not fit the function's parameters."""


class JobHandler(Generic[P, R]):
    """A registered job function; calling it calls the function.

    Raises TypeError for a function that cannot run a job (see askback._worker.job_function).
    """

    def __init__(
        self,
        job_type: str,
        function: Callable[Concatenate[Job, P], Awaitable[R]],
        find_client: Callable[[], Awaitable[Client]] = current_client,
    ) -> None:
        self.job_type = job_type
        self.function = function
        self.find_client = find_client
        self.__name__ = getattr(function, "__name__", job_type)
        self.__doc__ = function.__doc__
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self._parameters = list(check_function(function))[1:]

    async def __call__(self, job: Job, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function."""
        return await self.function(job, *args, **kwargs)

    @must_await("start")
    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a job of this type with these arguments as its input, on the entered client.

        Raises RuntimeError outside `async with Client(...)`, and the errors of Client.start.
        """
        return await self.using().start(*args, **kwargs)

    def using(self, client: Client | None = None, **options: Unpack[StartOptions]) -> Starter[P, R]:
        """Choose the client and other options of Client.start:

        `await refund.using(client, request_id="A-17").start(order="A-17", days=41)`.
        """
        return Starter(self, client, options)

    def input(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The job input for these arguments. Raises TypeError if they do not fit."""
        bound = inspect.Signature(self._parameters).bind(*args, **kwargs)
        values: dict[str, Any] = {}
        for parameter in self._parameters:
            if parameter.name not in bound.arguments:
                continue
            value = bound.arguments[parameter.name]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                values.update(value)
            else:
                values[parameter.name] = value
        return values

    def bind(self, value: Any) -> dict[str, Any]:
        """Convert a job's input to keyword arguments of the annotated types.

        An input that is not an object becomes the only parameter. Raises InvalidInput.
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

    def prepare(self) -> None:
        """Build the converters of the input. Raises TypeError for an annotation that no JSON value fits."""
        if self._adapters:
            return
        hints = hints_of(self.function)
        for parameter in self._parameters:
            if parameter.kind in _KEYWORD:
                annotation = hints.get(parameter.name, Any)
                try:
                    self._adapters[parameter.name] = TypeAdapter(annotation)
                except PydanticUserError as error:
                    raise TypeError(
                        f"{self.__name__}: no JSON value fits the parameter {parameter.name!r}, annotated "
                        f"with {annotation}"
                    ) from error

    def _convert(self, name: str, value: Any) -> Any:
        self.prepare()
        adapter = self._adapters.get(name)
        if adapter is None:
            return value
        try:
            return fit(adapter, value)
        except ValidationError as error:
            raise InvalidInput("; ".join(faults(name, error))) from None


@dataclass(frozen=True, slots=True)
class Starter(Generic[P, R]):
    """A job function with the options of its start. Made by `JobHandler.using`."""

    handler: JobHandler[P, R]
    client: Client | None
    options: StartOptions

    @must_await("start")
    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start the job. Raises the errors of Client.start, and TypeError for arguments that do not fit."""
        handler = self.handler
        client = self.client or await handler.find_client()
        returns: type[R] = result_type(handler.function)
        input = handler.input(*args, **kwargs)
        return await client.start(handler.job_type, input, returns=returns, **self.options)


def result_json(value: Any) -> str:
    """The JSON text of a result; empty for None. Raises ValueError for a value that JSON cannot hold."""
    return "" if value is None else dumps(value)
