"""Options that filter prompts, and the completion of prompt names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from askback.cli.candidates import asking_types, audience_groups, kinds, prompt_labels
from askback.cli.completion import any_job

if TYPE_CHECKING:
    from askback._client.client import Client


def view_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that filter prompts."""
    options = (
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            shell_complete=kinds,
            help="Of this kind: confirm, clarify, preview, …",
        ),
        click.option(
            "--label",
            "label_pairs",
            multiple=True,
            metavar="NAME=VALUE",
            shell_complete=prompt_labels,
            help="With this label; repeated for one NAME: any of the values.",
        ),
        click.option(
            "--for-group",
            "for_groups",
            multiple=True,
            metavar="GROUP",
            shell_complete=audience_groups,
            help="Asked of this group.",
        ),
        click.option(
            "--type",
            "job_types",
            multiple=True,
            metavar="TYPE",
            shell_complete=asking_types,
            help="Asked by jobs of this type.",
        ),
        click.option(
            "--job", "job_id", default="", metavar="JOB", shell_complete=any_job, help="Asked by this job."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


async def view(client: Client, options: dict[str, Any]) -> dict[str, Any]:
    """The values of `view_options` as arguments of the SDK.

    Raises click.UsageError, and NotFound or Ambiguous for a handle that does not name exactly one job.
    """
    from askback.cli.job_input import label_conditions
    from askback.cli.lookup import job_id_of

    rest = {name: value for name, value in options.items() if name != "label_pairs"}
    job_id = await job_id_of(client, options["job_id"]) if options["job_id"] else ""
    return {**rest, "job_id": job_id, "labels": label_conditions(options["label_pairs"])}


def open_prompts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Handles of open prompts with their titles, the most urgent first; none on an error."""
    from askback._text.handle import completions
    from askback._text.text import one_line
    from askback.cli.candidates import urgent_prompts

    found = urgent_prompts(ctx)
    matching = completions((prompt.prompt_id for prompt in found), incomplete)
    return [
        CompletionItem(
            matching[prompt.prompt_id], help=one_line(f"[{prompt.content.kind}] {prompt.content.title}", 70)
        )
        for prompt in found
        if prompt.prompt_id in matching
    ]
