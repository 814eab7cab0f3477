"""Finds jobs and prompts by the names that people type: an id, a handle (the end of an id), or JOB/KEY."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from askback._text.handle import MIN_HANDLE_CHARS, handles, is_handle, is_id
from askback._text.text import cut, one_line
from askback.errors import InvalidArgument, NotFound, PermissionDenied

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._model.prompts import PromptInfo

T = TypeVar("T")
MAX_LISTED = 10
"""The maximum number of candidates that are listed for an ambiguous handle."""


class Ambiguous(InvalidArgument):
    """A handle fits several jobs or prompts. `metadata["candidates"]` has their ids, separated by commas."""


async def job_id_of(client: Client, name: str) -> str:
    """The id of the job with this id or handle.

    An id is returned without a look-up: the call that uses it fails if the job does not exist. Raises
    NotFound, Ambiguous, InvalidArgument for a handle that is too short.
    """
    typed = name.strip().lower()
    if is_id(typed) or not _may_be_handle("job", typed):
        return typed if is_id(typed) else name
    try:
        found = {
            job.job_id: job.job_type
            async for job in _first_items(client.list(id_suffix=typed, page_size=MAX_LISTED + 1))
        }
    except PermissionDenied:
        found = await _jobs_that_ask(client, typed)
    return _single_id("job", typed, found)


async def prompt_of(client: Client, name: str) -> PromptInfo:
    """The prompt with this id, this handle, or the name JOB/KEY, where JOB is the id or handle of its job.

    Raises NotFound, Ambiguous, InvalidArgument for a handle that is too short.
    """
    job, slash, key = name.partition("/")
    if slash:
        return await client.prompt(job_id=await job_id_of(client, job), key=key)
    typed = name.strip().lower()
    if is_id(typed) or not _may_be_handle("prompt", typed):
        return await client.prompt(typed if is_id(typed) else name)
    matching = client.prompts(id_suffix=typed, states=_all_states(), page_size=MAX_LISTED + 1)
    found = {prompt.prompt_id: prompt async for prompt in _first_items(matching)}
    words = {prompt_id: f"[{prompt.kind}] {prompt.title}" for prompt_id, prompt in found.items()}
    return found[_single_id("prompt", typed, words)]


def may_name_prompt(name: str) -> bool:
    """Whether the text looks like an id, a handle (even one that is too short), or JOB/KEY."""
    typed = name.strip().lower()
    return "/" in name or is_id(typed) or all(letter in "0123456789abcdef-" for letter in typed)


async def asking_job_of(client: Client, name: str) -> str:
    """The id of the job with this name, or of the job that asks the prompt with this name.

    Names are those of `job_id_of` and `prompt_of`. Raises what these raise.
    """
    if "/" in name:
        return (await prompt_of(client, name)).job_id
    try:
        return await job_id_of(client, name)
    except NotFound:
        try:
            return (await prompt_of(client, name)).job_id
        except NotFound:
            pass
        raise


async def _jobs_that_ask(client: Client, suffix: str) -> dict[str, str]:
    """Types by job id of the jobs that asked the caller: for a console, which may not list jobs."""
    found: dict[str, str] = {}
    async for prompt in client.prompts(job_id_suffix=suffix, states=_all_states(), page_size=MAX_LISTED + 1):
        found[prompt.job_id] = prompt.job_type
        if len(found) > MAX_LISTED:
            break
    return found


async def _first_items(matching: AsyncIterator[T]) -> AsyncIterator[T]:
    """The first items, one more than can be listed."""
    count = 0
    async for one in matching:
        yield one
        count += 1
        if count > MAX_LISTED:
            return


def _may_be_handle(what: str, typed: str) -> bool:
    if is_handle(typed):
        return True
    if typed and len(typed) < MIN_HANDLE_CHARS and all(letter in "0123456789abcdef" for letter in typed):
        raise InvalidArgument(
            f"{typed!r} is too short to name a {what}: type at least the last {MIN_HANDLE_CHARS} "
            "characters of its id"
        )
    return False


def _single_id(what: str, suffix: str, found: Mapping[str, str]) -> str:
    """The only id that was found. Raises NotFound, Ambiguous."""
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise NotFound(
            f"there is no {what} whose id ends in {suffix!r} for you; a handle is the end of an id"
        )
    named = handles(found)
    width = max(map(len, named.values()))
    lines = [
        f"  {named[i].rjust(width)}  {cut(one_line(words), 60)}"
        for i, words in list(found.items())[:MAX_LISTED]
    ]
    more = ["  ..."] if len(found) > MAX_LISTED else []
    text = "\n".join(
        [f"{suffix!r} fits more than one {what}; type more of the end of its id:", *lines, *more]
    )
    raise Ambiguous(text, metadata={"candidates": ",".join(list(found)[:MAX_LISTED])})


def _all_states() -> list[str]:
    from askback._model.enums import PromptState

    return [state for state in PromptState if state is not PromptState.UNSPECIFIED]
