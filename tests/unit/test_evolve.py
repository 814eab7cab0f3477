"""Quick constructors are the ones that `dataclass` writes, only faster."""

import inspect
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from askback_server.domain.content import PromptContent
from askback_server.domain.events import Event
from askback_server.domain.evolve import evolve, made, quick
from askback_server.domain.prompts import Answer, Prompt, Submission


@dataclass(frozen=True)
class Slow:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list)
    four: int | None = None


@quick
@dataclass(frozen=True)
class Fast:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list)
    four: int | None = None


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, "x"), {"four": 4}), ((), {"one": 1, "three": [2]}), ((1, "x", [3], 4), {})],
)
def test_the_same_arguments_give_the_same_fields(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    slow, fast = Slow(*args, **kwargs), Fast(*args, **kwargs)  # type: ignore[arg-type]
    assert [getattr(fast, f.name) for f in fields(fast)] == [getattr(slow, f.name) for f in fields(slow)]


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"five": 5}), ((1,), {"one": 1})]
)
def test_the_same_mistakes_are_refused(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    for cls in (Slow, Fast):
        with pytest.raises(TypeError):
            cls(*args, **kwargs)  # type: ignore[arg-type]


def test_it_stays_frozen_comparable_and_replaceable() -> None:
    one = Fast(1)
    with pytest.raises(FrozenInstanceError):
        one.one = 2  # type: ignore[misc]
    assert one == Fast(1) != Fast(2)
    assert Fast(1).three is not one.three
    assert replace(one, two="x") == evolve(one, two="x") == made(Fast, {**one.__dict__, "two": "x"})
    assert one.two == "two"


@pytest.mark.parametrize("cls", [Answer, Event, Prompt, PromptContent, Submission])
def test_parameters_are_the_fields_in_order(cls: type) -> None:
    assert list(inspect.signature(cls).parameters) == [f.name for f in fields(cls)]
