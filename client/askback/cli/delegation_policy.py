"""The options of `askback ask` that say to whom a question may be delegated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from askback._model.delegations import DelegationPolicy


def policy_of(names: tuple[str, ...], *, none: bool) -> DelegationPolicy | None:
    """The policy for `--delegate-to NAME` and `--no-delegation`; None without them. Raises UsageError."""
    from askback._model.delegations import DelegationPolicy
    from askback._model.enums import DelegationScope

    if none and names:
        raise click.UsageError("--delegate-to and --no-delegation contradict each other")
    if none:
        return DelegationPolicy(scope=DelegationScope.NO_ONE)
    if "audience" in names:
        if len(names) > 1:
            raise click.UsageError("--delegate-to audience goes with no other names")
        return DelegationPolicy(scope=DelegationScope.AUDIENCE)
    return DelegationPolicy(*names) if names else None
