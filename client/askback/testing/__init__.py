"""Test your own workers: a server inside the test, a scripted human, and a clock you can fast-forward.

    async def test_goodwill_is_paid(human):
        human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
        human.on(kind="confirm").approves("fine")
        run = await refund.start(order="A-17", days=41)
        assert await run.result() == 12.5
        assert human.seen == ["ruling", "pay"]

`pip install 'askback[testing]'` installs these fixtures as a pytest plugin:

    human            answers by rules; a prompt that no rule expects fails the test
    clock            `await clock.advance(hours=4)`: deadlines expire without waiting
    askback_server   the server: `target`, `client(...)`, `work(worker)`

A job function that a test starts runs on its worker automatically, at this server; `Client()` and `Worker()`
without a target use it too. Answers are marked as answers of a test: a server outside test mode refuses
them, so a test that connects to the wrong server approves nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askback.testing.clock import Clock as Clock
    from askback.testing.human import Human as Human
    from askback.testing.rules import Rule as Rule
    from askback.testing.server import Server as Server

_HOME = {"Clock": "clock", "Human": "human", "Rule": "rules", "Server": "server"}

__all__ = ["Clock", "Human", "Rule", "Server"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'askback.testing' has no attribute {name!r}")
    return getattr(import_module(f"askback.testing.{_HOME[name]}"), name)
