"""`askback receipt`: signed statements of who decided what."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "get": ("askback.cli.receipt.get:get", "Print the receipt of a prompt, with all that verifies it."),
    "keys": ("askback.cli.receipt.get:keys", "Print the public keys of a server."),
    "verify": ("askback.cli.receipt.verify:verify", "Verify a receipt, without a server."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def receipt() -> None:
    """Get and verify receipts: signed statements of who decided what.

    \b
      askback receipt keys >keys.json            once, and kept where receipts are not
      askback receipt get 3f9a2c >receipt.json
      askback receipt verify receipt.json --keys keys.json
    """
