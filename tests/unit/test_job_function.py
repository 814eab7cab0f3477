"""What `@worker.job` refuses at decoration, and the fix that its error names."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any

import pytest

from askback import Job, Worker
from askback._worker.handler import result_type
from askback._worker.job_function import check_job_type
from askback_server.domain.checks import Checker
from askback_server.domain.errors import InvalidField
from askback_server.domain.limits import Limits


async def good(job: Job, order: str) -> str:
    return order


def plain(job: Job) -> None: ...


async def generator(job: Job) -> AsyncIterator[int]:
    yield 1


async def nothing() -> None: ...


async def only_keywords(*, job: Job) -> None: ...


async def only_named(**fields: Any) -> None: ...


async def by_position(job: Job, order: str, /) -> None: ...


class Handlers:
    """All kinds of callables."""

    async def method(self, job: Job, order: str) -> str:
        return order

    async def __call__(self, job: Job, order: str) -> str:
        return order


class Plain:
    def __call__(self, job: Job) -> None: ...


async def three(client: object, job: Job, order: str, days: int = 3) -> str:
    return order


@functools.wraps(good)
def wrapper(*args: Any) -> Any:
    return good(*args)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (plain, "async def plain"),
        (wrapper, "async def good"),
        (lambda job: None, "a lambda cannot run a job"),
        (generator, "is an async generator"),
        (Handlers, "Handlers is a class"),
        (Plain(), "must be async"),
        (functools.partial(plain), "async def plain"),
        (functools.partial(generator), "is an async generator"),
        (staticmethod(good), "staticmethod"),
        (classmethod(good), "classmethod"),
        (Handlers.method, "is a method without its object"),
        (nothing, "must take the job as its first parameter"),
        (functools.partial(good, None), None),
        (functools.partial(three, None, None, "A", 4), "must take the job"),
        (only_keywords, "must take the job as its first parameter"),
        (only_named, "must take the job as its first parameter"),
        (by_position, "remove the '/'"),
        (None, "needs an async function, not NoneType"),
        ("refund", "needs an async function, not str"),
    ],
    ids=range(19),
)
def test_a_function_that_cannot_run_a_job_is_refused(function: Any, says: str | None) -> None:
    worker = Worker()
    if says is None:
        worker.job("t")(function)
        return
    with pytest.raises(TypeError, match=says):
        worker.job("t")(function)
    assert worker.jobs == []


@pytest.mark.parametrize(
    "function",
    [
        good,
        Handlers().method,
        Handlers(),
        functools.partial(three, None),
        functools.partial(three, None, days=4),
        functools.partial(Handlers().method),
        functools.partial(Handlers()),
    ],
    ids=range(7),
)
async def test_every_async_callable_that_takes_the_job_runs_it(function: Callable[..., Any]) -> None:
    handler = Worker().job("t")(function)
    arguments = handler.bind({"order": "A-17"})
    job: Any = object()
    assert await handler(job, **arguments) == "A-17"
    assert result_type(handler.function) is str


@pytest.mark.parametrize(
    "decorated", [good, plain, Handlers, Handlers(), functools.partial(good)], ids=range(5)
)
def test_a_decorator_without_parentheses_says_how_to_write_it(decorated: Any) -> None:
    worker = Worker()
    with pytest.raises(TypeError, match=r'write @worker\.job\("\w+"\)'):
        worker.job(decorated)
    assert worker.jobs == []


@pytest.mark.parametrize("job_type", [None, 5, b"refund", ["refund"], object()], ids=range(5))
def test_a_job_type_must_be_valid_text(job_type: Any) -> None:
    with pytest.raises(TypeError, match="must be a str"):
        Worker().job(job_type)


class Types(StrEnum):
    REFUND = "refund"


@pytest.mark.parametrize(
    "job_type",
    [
        "",
        " ",
        "a b",
        "a" * 128,
        "a" * 129,
        "-a",
        ".a",
        "/a",
        "_a",
        "a/b.c-d_e",
        "9",
        "ä",
        "a\n",
        "a\0",
        "a:b",
        "\ud800",
        "a" * 5000,
        Types.REFUND,
    ],
    ids=range(18),
)
def test_client_and_server_agree_on_job_types(job_type: str) -> None:
    check = Checker(Limits())
    check.name("job_type", job_type)
    try:
        check.done()
    except InvalidField:
        with pytest.raises(ValueError, match="is no job type"):
            Worker().job(job_type)
    else:
        check_job_type(job_type)


def test_a_job_type_has_one_function() -> None:
    worker = Worker()
    worker.job("t")(good)
    with pytest.raises(ValueError, match="'t' has a function already, good: give this one another"):
        worker.job("t")(three)
    assert [handler.function for handler in worker.jobs] == [good]


def test_a_function_may_have_several_job_types() -> None:
    worker = Worker()
    worker.job("a")(worker.job("b")(good))
    assert {handler.job_type: handler.function for handler in worker.jobs} == {"a": good, "b": good}


async def opaque(job: Job, handlers: Handlers) -> None: ...


async def test_a_parameter_that_no_input_fits_is_reported_at_the_start() -> None:
    worker = Worker("127.0.0.1:1")
    worker.job("t")(opaque)
    with pytest.raises(TypeError, match="opaque: no JSON value fits the parameter 'handlers'"):
        await worker.start(0.1)
