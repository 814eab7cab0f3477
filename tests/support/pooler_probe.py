"""Probe each address for a pooler only once in a test process.

Every `Database.open` finds out, by eighteen statements on two connections, whether clients share a server
process. That takes 7 ms of CPU here and some in PostgreSQL, and tests open a thousand databases at one
address.
"""

from __future__ import annotations

from contextlib import nullcontext

from askback_server.storage import pooler, postgres
from askback_server.storage.pooler import Connecting

_probe = pooler.refuse_shared_connections


def probe_each_address_once() -> None:
    """Let `Database.open` skip the probe for an address that has passed it. The first connection is opened in
    any case."""
    passed: set[object] = set()

    async def probe_once(first: Connecting, second: Connecting) -> None:
        async with first as connection:
            address: object = connection._addr  # type: ignore[attr-defined]
            if address not in passed:
                await _probe(nullcontext(connection), second)
                passed.add(address)

    postgres.refuse_shared_connections = probe_once  # type: ignore[attr-defined]
