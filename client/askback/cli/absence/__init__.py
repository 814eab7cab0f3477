"""`askback absence`: when people are away, and who stands in for them."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "ls": ("askback.cli.absence.listing:ls", "List absences that are not over."),
    "set": ("askback.cli.absence.change:set_absence", "Say that you are away, and who stands in."),
    "delete": ("askback.cli.absence.change:delete", "End an absence now, or before it begins."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def absence() -> None:
    """Say when you are away, and who answers in your place.

    Meanwhile the substitute may answer the prompts that name you. You may too: the first answer counts.
    """
