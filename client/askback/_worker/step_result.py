"""Converts the result of a step to JSON text, and back to the annotated type of its function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from askback._model.json_text import dumps, validate
from askback._model.nonretryable import InvalidStep
from askback._worker.annotations import faults, result_type
from askback._worker.job_function import name_of


class StepResult:
    """Converts the result of `function`, the step with this key.

    Raises InvalidStep if `function` is not callable, and for an annotation that no JSON value can fit.
    """

    def __init__(self, key: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise InvalidStep(
                f"the step {key!r} needs a function, not {type(function).__name__}: write "
                f"`await job.step({key!r}, function, argument)`, without calling it"
            )
        self._key = key
        self._name = name_of(function)
        self._type = result_type(function)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(self._type)
        except PydanticUserError as error:
            raise self._unusable(error) from error
        if not getattr(self._adapter, "pydantic_complete", True):  # before pydantic 2.10 it raised above
            raise self._unusable("it names a type that is not defined")

    def dump(self, value: Any) -> str:
        """Convert a value to JSON text. Raises InvalidStep."""
        try:
            return dumps(value)
        except ValueError as error:
            raise InvalidStep(
                f"the step {self._key!r} returned a {type(value).__name__} that JSON cannot hold: {error}"
            ) from error

    def parse(self, text: str) -> Any:
        """Convert stored text to the annotated type. Raises InvalidStep if it does not fit."""
        try:
            return validate(self._adapter, text)
        except ValidationError as error:
            raise InvalidStep(
                f"the stored result of the step {self._key!r} does not fit {self._annotation}: "
                f"{'; '.join(faults('result', error))}. What the step did is not repeated: mend the "
                "annotation so that it fits, or give the step another key to do it again"
            ) from error

    @property
    def _annotation(self) -> str:
        shown = getattr(self._type, "__name__", None) if isinstance(self._type, type) else None
        return f"the annotation of {self._name}, {shown or self._type}"

    def _unusable(self, why: object) -> InvalidStep:
        return InvalidStep(
            f"the step {self._key!r} cannot keep its result: no JSON value fits {self._annotation}: {why}"
        )
