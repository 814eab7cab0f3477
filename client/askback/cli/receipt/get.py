"""`askback receipt get` and `askback receipt keys`."""

from __future__ import annotations

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command


@click.command(cls=Command)
@click.argument("prompt")
@client_command
async def get(context: CommandContext, prompt: str) -> None:
    """Print the receipt of a closed prompt, as a JSON object for `askback receipt verify`.

    PROMPT is its id, or the end of it. The object has the signed statement (`receipt`), the prompt with its
    answer (`prompt`, in ProtoJSON), and the public keys that the server gives now (`keys`).
    """
    import json

    from google.protobuf.json_format import MessageToDict

    from askback.cli.lookup import prompt_of

    client = context.client
    found = await prompt_of(client, prompt)
    receipt = await client.receipt(found.prompt_id)
    closed = await client.prompt(found.prompt_id)
    context.out.json(
        {
            "receipt": receipt.statement,
            "prompt": MessageToDict(closed.proto),
            "keys": json.loads(await client.receipt_keys()),
        }
    )


@click.command(cls=Command)
@client_command
async def keys(context: CommandContext) -> None:
    """Print the public keys of a server as a JSON Web Key Set. The first key signs now.

    Keep them apart from the receipts: a person who can replace both can make receipts.
    """
    import json

    context.out.json(json.loads(await context.client.receipt_keys()))
