"""`client.rules` for programs without an event loop."""

from __future__ import annotations

from askback._client import rule_calls as aio
from askback.sync.twin import Twin, blocking, iterating


class Rules(Twin):
    """The rules of a client's namespace, as askback.Client.rules."""

    _twin: aio.Rules

    create = blocking(aio.Rules.create)
    update = blocking(aio.Rules.update)
    delete = blocking(aio.Rules.delete)
    preview = blocking(aio.Rules.preview)
    suggest = blocking(aio.Rules.suggest)
    list = iterating(aio.Rules.list)
