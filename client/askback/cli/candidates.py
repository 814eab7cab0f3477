"""Completion candidates for options and arguments, from the server: values with descriptions.

Every completion function takes click's (context, parameter, incomplete) and returns no candidates on an
error: the command itself reports it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import grpc

    from askback.cli.connection import Connection
    from askback.v1 import job_pb2, prompt_pb2

T = TypeVar("T")
CALL_SECONDS = 1.0
"""The timeout of a call in seconds: a person waits for the shell."""
MAX_CANDIDATES = 100
"""The maximum number of jobs or prompts that are read."""
KINDS = {
    "confirm": "yes or no",
    "clarify": "values, or an answer in words",
    "preview": "texts to approve or edit",
    "validate": "a result to accept or send back",
    "deep_understanding": "a question of a longer dialogue",
    "structure_fix": "data that does not fit its schema",
}


def ask_server(
    ctx: click.Context, call: Callable[[grpc.aio.Channel, Connection, Any], Awaitable[T]]
) -> T | None:
    """Run `call(channel, connection, metadata)` against the command's server; None on an error."""
    import asyncio
    import os

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    from askback.cli.connection import Connection

    async def run() -> T:
        async with endpoint.open() as channel, asyncio.timeout(CALL_SECONDS):
            return await call(channel, connection, endpoint.metadata())

    try:
        connection = Connection.of(ctx.params)
        endpoint = connection.endpoint()
        return asyncio.run(run())
    except (click.UsageError, grpc.RpcError, TimeoutError):
        return None


def kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The kinds of the service, and other kinds of open prompts."""
    found = dict.fromkeys(KINDS, "") | _count("open", (p.content.kind for p in urgent_prompts(ctx)))
    about = {kind: ", ".join(filter(None, (KINDS.get(kind, ""), count))) for kind, count in found.items()}
    return _completion_items(about, incomplete)


def job_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Types of the newest jobs; for a console, which may not list jobs, of the jobs with open prompts."""
    found = _count(f"of the newest {MAX_CANDIDATES} jobs", (job.job_type for job in newest_jobs(ctx)))
    return _completion_items(found or _prompt_types(ctx), incomplete)


def asking_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Types of the jobs that have open prompts."""
    return _completion_items(_prompt_types(ctx), incomplete)


def owners(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Owners of the newest jobs."""
    return _completion_items(
        _count(f"of the newest {MAX_CANDIDATES} jobs", (job.user_id for job in newest_jobs(ctx))), incomplete
    )


def job_labels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Labels of the newest jobs, as NAME=VALUE."""
    pairs = (f"{n}={v}" for job in newest_jobs(ctx) for n, v in job.labels.items())
    return _completion_items(_count(f"of the newest {MAX_CANDIDATES} jobs", pairs), incomplete)


def prompt_labels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Labels of open prompts, as NAME=VALUE."""
    pairs = (f"{n}={v}" for prompt in urgent_prompts(ctx) for n, v in prompt.content.labels.items())
    return _completion_items(_count("open", pairs), incomplete)


def audience_groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Groups in the audiences of open prompts."""
    names = (name for prompt in urgent_prompts(ctx) for name in prompt.content.audience.groups)
    return _completion_items(_count("open", names), incomplete)


def namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The namespaces that the caller may use."""
    from askback.v1 import access_service_pb2 as pb
    from askback.v1.access_service_pb2_grpc import AccessServiceStub

    async def call(channel: grpc.aio.Channel, connection: Connection, metadata: Any) -> pb.WhoAmIResponse:
        return await AccessServiceStub(channel).WhoAmI(pb.WhoAmIRequest(), metadata=metadata)

    ctx.params["namespace"] = None  # the incomplete word is not a namespace
    reply = ask_server(ctx, call)
    names = list(reply.namespaces) if reply is not None else []
    return _completion_items(
        {name: "" if number else "the default" for number, name in enumerate(names)}, incomplete
    )


def profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The profiles of the configuration file, with their servers."""
    from askback.cli.profiles import config_file, read_profiles

    try:
        found, chosen = read_profiles(config_file())
    except click.UsageError:
        return []
    about = {
        name: str(settings.get("server", "")) + (" (used if none is named)" if name == chosen else "")
        for name, settings in found.items()
    }
    return _completion_items(about, incomplete)


def newest_jobs(ctx: click.Context, states: Iterable[int] = ()) -> list[job_pb2.Job]:
    """The newest jobs, if `states` is given only in these states (numbers of the contract).

    Empty for a caller that may not list jobs.
    """
    from askback.v1 import job_pb2
    from askback.v1 import job_service_pb2 as pb
    from askback.v1.job_service_pb2_grpc import JobServiceStub

    async def call(channel: grpc.aio.Channel, connection: Connection, metadata: Any) -> list[job_pb2.Job]:
        request = pb.ListJobsRequest(namespace=connection.namespace, page_size=MAX_CANDIDATES)
        request.filter.states.extend(job_pb2.JobState.ValueType(state) for state in states)
        return list((await JobServiceStub(channel).ListJobs(request, metadata=metadata)).jobs)

    return ask_server(ctx, call) or []


def urgent_prompts(ctx: click.Context) -> list[prompt_pb2.Prompt]:
    """The most urgent open prompts that the caller may see."""
    from askback.v1 import hitl_service_pb2 as pb
    from askback.v1.hitl_service_pb2_grpc import HitlServiceStub

    async def call(
        channel: grpc.aio.Channel, connection: Connection, metadata: Any
    ) -> list[prompt_pb2.Prompt]:
        request = pb.ListPromptsRequest(namespace=connection.namespace, page_size=MAX_CANDIDATES)
        return list((await HitlServiceStub(channel).ListPrompts(request, metadata=metadata)).prompts)

    return ask_server(ctx, call) or []


def _prompt_types(ctx: click.Context) -> dict[str, str]:
    return _count("open", (prompt.job_type for prompt in urgent_prompts(ctx)))


def _count(what: str, values: Iterable[str]) -> dict[str, str]:
    """Each value with its count in words, such as `3 open`, the most frequent first."""
    return {value: f"{count} {what}" for value, count in Counter(filter(None, values)).most_common()}


def _completion_items(about: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    from askback._text.text import one_line

    return [
        CompletionItem(one_line(value), help=one_line(text) or None)
        for value, text in about.items()
        if value.startswith(incomplete)
    ]
