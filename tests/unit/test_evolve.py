"""Fast constructors and copies behave like those of `dataclasses` and refuse the same mistakes."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any, get_type_hints

import pytest

from askback_server.domain.answers import Answer
from askback_server.domain.content import PromptContent
from askback_server.domain.documents import content_to_json
from askback_server.domain.events import Event
from askback_server.domain.evolve import cached_property, evolve, fast_init, from_fields
from askback_server.domain.job_values import JobFields, JobValues, UnderstandingValues
from askback_server.domain.jobs import DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from tests.support.aggregates import JobWorld


@dataclass(frozen=True)
class Slow:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list)
    four: int | None = None


@fast_init
@dataclass(frozen=True)
class Fast:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list)
    four: int | None = None


@fast_init
@dataclass(frozen=True, slots=True)
class FastSlots:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list)
    four: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    first: int = 1


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class FastKeywords(_Base):
    second: int
    third: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, "x"), {"four": 4}), ((), {"one": 1, "three": [2]}), ((1, "x", [3], 4), {})],
)
def test_fast_and_plain_constructors_set_the_same_fields(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    slow = Slow(*args, **kwargs)  # type: ignore[arg-type]
    for fast in (Fast(*args, **kwargs), FastSlots(*args, **kwargs)):  # type: ignore[arg-type]
        assert [getattr(fast, f.name) for f in fields(fast)] == [getattr(slow, f.name) for f in fields(slow)]
    assert FastSlots(1).three is not FastSlots(1).three


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"five": 5}), ((1,), {"one": 1})]
)
def test_fast_and_plain_constructors_refuse_the_same_mistakes(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    for cls in (Slow, Fast, FastSlots):
        with pytest.raises(TypeError):
            cls(*args, **kwargs)  # type: ignore[arg-type]


def test_fast_constructors_with_slots_know_keywords_and_inherited_fields() -> None:
    value = FastKeywords(second=2)
    assert (value.first, value.second, value.third) == (1, 2, ())
    assert value == FastKeywords(first=1, second=2)
    assert hash(value) == hash(FastKeywords(second=2))
    assert replace(value, third=(3,)) == FastKeywords(second=2, third=(3,))
    for wrong in ((2,), ()):
        with pytest.raises(TypeError):
            FastKeywords(*wrong)  # type: ignore[misc]


def test_fast_constructors_are_not_for_classes_with_a_post_init() -> None:
    with pytest.raises(TypeError, match="Checked must not have __post_init__"):

        @fast_init
        @dataclass(frozen=True)
        class Checked:
            one: int

            def __post_init__(self) -> None: ...


def test_a_fast_class_stays_frozen_comparable_and_replaceable() -> None:
    one = Fast(1)
    with pytest.raises(FrozenInstanceError):
        one.one = 2  # type: ignore[misc]
    assert one == Fast(1) != Fast(2)
    assert Fast(1).three is not one.three
    assert replace(one, two="x") == evolve(one, two="x") == from_fields(Fast, {**one.__dict__, "two": "x"})
    assert one.two == "two"


@pytest.mark.parametrize("cls", [Answer, Event, Prompt, PromptContent, Submission])
def test_parameters_of_a_fast_class_are_its_fields_in_order(cls: type) -> None:
    assert list(inspect.signature(cls).parameters) == [f.name for f in fields(cls)]


@dataclass(frozen=True)
class Cached:
    one: int
    two: int = 2

    @cached_property
    def total(self) -> int:
        return self.one + self.two


def test_evolve_drops_the_values_of_cached_properties() -> None:
    old = Cached(1)
    assert old.total == 3
    new = evolve(old, one=10)
    assert (new.one, new.two, new.total) == (10, 2, 12)
    assert old.total == 3, "the original keeps its own"


def test_documents_are_serialised_once_per_object() -> None:
    content = PromptContent(kind="confirm", title="one")
    assert content_to_json(content) is content_to_json(content)


def test_evolved_content_has_its_own_document_digest_and_size() -> None:
    content = PromptContent(kind="confirm", title="one", body="a")
    before = (content_to_json(content), content.digest, content.size)
    longer = evolve(content, title="two", body="aaaa")
    fresh = PromptContent(kind="confirm", title="two", body="aaaa")
    assert (content_to_json(longer), longer.digest, longer.size) == (
        content_to_json(fresh),
        fresh.digest,
        fresh.size,
    )
    assert (content_to_json(content), content.digest, content.size) == before


@pytest.mark.parametrize("changes", [{"open_promts": 3}, {"one": 1, "nonsense": 2}, {"total": 9}])
@pytest.mark.parametrize("is_read", [False, True], ids=["cache empty", "cache filled"])
def test_evolve_refuses_names_that_are_no_fields(is_read: bool, changes: dict[str, Any]) -> None:
    value = Cached(1)
    if is_read:
        assert value.total
    with pytest.raises(TypeError, match=r"Cached has no field (open_promts|nonsense|total)"):
        evolve(value, **changes)


@dataclass(frozen=True, slots=True)
class Slotted:
    one: int


@dataclass(frozen=True)
class Checked:
    one: int

    def __post_init__(self) -> None:
        assert self.one > 0


@dataclass
class Mutable:
    one: int


@pytest.mark.parametrize("value", [Slotted(1), Checked(1), Mutable(1)], ids=lambda v: type(v).__name__)
def test_evolve_refuses_classes_that_it_would_copy_wrongly(value: Any) -> None:
    with pytest.raises(TypeError, match="must be a frozen dataclass without __slots__ and __post_init__"):
        evolve(value, one=2)


def test_change_refuses_names_that_are_no_fields_of_a_job() -> None:
    world = JobWorld()
    world.create()
    change = world.change
    assert change is not None
    before = change.job
    with pytest.raises(TypeError, match="Job has no field nonsense"):
        change.set(nonsense=1)  # type: ignore[call-arg]
    assert change.job is before


@pytest.mark.parametrize(
    ("values", "of"),
    [(JobFields, Job), (JobValues, Job), (UnderstandingValues, DeepUnderstanding)],
    ids=lambda cls: cls.__name__,
)
def test_typed_values_have_the_types_of_the_fields(values: type, of: type) -> None:
    fields, typed = get_type_hints(of), get_type_hints(values)
    assert typed
    assert typed == {name: fields[name] for name in typed}
