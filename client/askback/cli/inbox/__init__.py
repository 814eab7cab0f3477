"""`askback inbox`: list and answer prompts."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "ls": ("askback.cli.inbox.listing:ls", "List open prompts, the most urgent first."),
    "show": ("askback.cli.inbox.listing:show", "Show a prompt and its answers."),
    "answer": ("askback.cli.inbox.answer:answer", "Answer a prompt: by options, or asked field by field."),
    "approve": ("askback.cli.inbox.decide:approve", "Say yes to the prompts named."),
    "reject": ("askback.cli.inbox.decide:reject", "Say no to the prompts named."),
    "withdraw": ("askback.cli.inbox.votes:withdraw", "Withdraw your vote on a prompt."),
    "override": (
        "askback.cli.inbox.votes:override",
        "Decide a prompt as an admin, whatever its rules say.",
    ),
    "delegate": (
        "askback.cli.inbox.delegate:delegate",
        "Pass a prompt on to another person or a group, or ask them too.",
    ),
    "return": (
        "askback.cli.inbox.delegate:return_prompt",
        "Give a prompt back that was delegated to you, or take back what you have delegated.",
    ),
    "claim": (
        "askback.cli.inbox.claim:claim",
        "Take a prompt on, so that others see it and leave it to you.",
    ),
    "release": ("askback.cli.inbox.claim:release", "End your claim on a prompt."),
    "next": ("askback.cli.inbox.next:next_prompt", "Take the most urgent one, answer it, and go on."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def inbox() -> None:
    """List and answer the prompts that wait for you."""
