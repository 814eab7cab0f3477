"""Planted bugs of proposed rules, for the reference model and for the simulator."""

from __future__ import annotations

from typing import Any

import pytest

from askback_server.domain import stored_rules
from askback_server.domain.content import Exclusion
from askback_server.domain.prompts import PromptState
from askback_server.engine import policy

Patch = pytest.MonkeyPatch


def ask_no_second_person(patch: Patch) -> None:
    """A proposed rule is on at once."""
    write = stored_rules.write_revision
    patch.setattr(policy, "write_revision", lambda *args, **_: write(*args, needs_approval=False))


def let_authors_approve(patch: Patch) -> None:
    """An author approves its own rule."""
    approver = policy._approver
    patch.setattr(policy, "Exclusion", lambda **_: Exclusion())
    patch.setattr(policy, "_approver", lambda prompt, _: approver(prompt, ""))


def activate_after_the_deadline(patch: Patch) -> None:
    """A proposal that expired is activated."""
    approver = policy._approver

    def approve_if_expired(prompt: Any, author: str) -> str:
        return "rita" if prompt.state is PromptState.EXPIRED else approver(prompt, author)

    patch.setattr(policy, "_approver", approve_if_expired)
