"""A click parameter type for the people of a group who must approve."""

from __future__ import annotations

from typing import Any

import click


class GroupApproval(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A group and how many of its members: `release=1`."""

    name = "group approval"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Parse the group and the number."""
        if isinstance(value, tuple):
            return value
        group, _, number = str(value).rpartition("=")
        if not (group and number.isdecimal() and int(number)):
            self.fail(f"{value!r} is not GROUP=N, such as release=1", param, ctx)
        return group.removeprefix("group:"), int(number)
