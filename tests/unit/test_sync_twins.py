"""askback.sync has the same names and arguments as the asynchronous client."""

from __future__ import annotations

import asyncio
import inspect
import typing
from typing import Any

import pytest

import askback
from askback import sync
from askback._client.ask_calls import AskOptions
from askback._client.job_calls import StartOptions
from askback.sync.loop_thread import loop_thread

TWINS = [
    (askback.Client, sync.Client),
    (askback.Run, sync.Run),
    (askback.Console, sync.Console),
    (askback.ConsolePrompt, sync.ConsolePrompt),
]
OPTIONS = {"start": StartOptions, "ask": AskOptions}
"""Arguments that the synchronous method takes as a typed dict."""
RENAMED = {"aclose": "close"}
APART = {"note_closed", "check_mode"}
"""Internal methods of the console that its prompts call."""
ASYNC_ONLY = {"Worker", "Job"}


def _public(found: type) -> set[str]:
    instance = {"job_id", "prompt"} if found is askback.Run else set()
    return {name for name in dir(found) if not name.startswith("_")} | instance


def _missing(of: type, twin: type) -> set[str]:
    return {RENAMED.get(name, name) for name in _public(of) - APART} - _public(twin)


@pytest.mark.parametrize(("of", "twin"), TWINS, ids=lambda found: found.__name__)
def test_every_public_name_has_a_synchronous_twin(of: type, twin: type) -> None:
    assert _missing(of, twin) == set()


def test_a_method_without_a_twin_is_detected() -> None:
    class Newer(askback.Client):
        async def brand_new(self) -> None: ...

    assert _missing(Newer, sync.Client) == {"brand_new"}


def _parameters(method: Any, options: Any = None) -> dict[str, Any]:
    found = {p.name: p.default for p in inspect.signature(method).parameters.values()}
    found.pop("self", None)
    if options is not None:
        del found["options"]
        found |= dict.fromkeys(typing.get_type_hints(options))
    return found


@pytest.mark.parametrize(("of", "twin"), TWINS, ids=lambda found: found.__name__)
def test_twins_have_the_same_arguments_and_defaults(of: type, twin: type) -> None:
    for name in sorted(_public(of) - APART - set(RENAMED)):
        method = inspect.getattr_static(of, name, None)
        if isinstance(method, property) or method is None:
            continue
        options = OPTIONS.get(name) if of is askback.Client else None
        theirs, ours = _parameters(getattr(of, name)), _parameters(getattr(twin, name), options)
        if options is None:
            assert ours == theirs, name
        else:
            assert set(ours) == set(theirs), name


@pytest.mark.parametrize(("of", "twin"), TWINS, ids=lambda found: found.__name__)
def test_no_synchronous_method_is_a_coroutine(of: type, twin: type) -> None:
    for name in _public(twin):
        found = inspect.getattr_static(twin, name, None)
        assert not inspect.iscoroutinefunction(found), name
        assert not inspect.isasyncgenfunction(found), name


def test_all_other_public_names_are_the_same_objects() -> None:
    own = {of.__name__ for of, _ in TWINS}
    for name in set(askback.__all__) - own - ASYNC_ONLY:
        assert getattr(sync, name) is getattr(askback, name), name
    for name in own:
        assert getattr(sync, name) is not getattr(askback, name)


def test_using_a_run_as_a_bool_raises() -> None:
    run = sync.Client("127.0.0.1:1").run("j")
    with pytest.raises(TypeError, match=r"write `run.result\(\)`"):
        bool(run)


def test_a_synchronous_console_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match=r"enter the console first: with client\.console"):
        next(sync.Client("127.0.0.1:1").console().prompts())


def test_a_call_in_the_background_thread_is_refused() -> None:
    """Otherwise the call would wait for itself."""

    async def listener() -> None:
        loop_thread().call(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="its own background thread"):
        loop_thread().call(listener())
