"""`askback rules`: rules that answer questions in the name of their authors."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "ls": ("askback.cli.rules.listing:ls", "List the rules of the namespace."),
    "show": ("askback.cli.rules.listing:show", "Show what a rule says, and what waits for approval."),
    "create": ("askback.cli.rules.change:create", "Create a rule from a file."),
    "edit": ("askback.cli.rules.change:edit", "Replace what a rule says by a file."),
    "on": ("askback.cli.rules.change:on", "Switch a rule on, as a new revision of yours."),
    "off": ("askback.cli.rules.change:off", "Switch a rule off at once."),
    "delete": ("askback.cli.rules.change:delete", "Delete a rule at once."),
    "preview": ("askback.cli.rules.trial:preview", "Say what a rule would have done with past questions."),
    "suggest": ("askback.cli.rules.trial:suggest", "Draft rules from what people decided alike."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def rules() -> None:
    """Write rules that answer, refuse or route questions when they are asked.

    They need the role policy. A rule answers in the name of its author, and only what the author could answer
    alone at that moment. Files are TOML or JSON.
    """
