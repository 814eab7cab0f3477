"""Completion for bash and fish: click's, with the descriptions that click omits or cuts."""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, FishComplete, ShellComplete, add_completion_class

from askback._text.text import columns, cut, one_line

_LISTING = "63"
"""bash's COMP_TYPE for the second Tab, which lists the candidates and inserts nothing."""
_MAX_DESCRIPTION_CHARS = 60
_QUOTED = (
    ("COMP_CWORD=$COMP_CWORD", "COMP_CWORD=$COMP_CWORD COMP_TYPE=$COMP_TYPE"),
    ("for completion in $response; do", "while IFS= read -r completion; do"),
    ("IFS=',' read type value", "IFS=',' read -r type value"),
    ("COMPREPLY+=($value)", 'COMPREPLY+=("$value")'),
    ("    done\n", '    done <<< "$response"\n'),
)
"""Changes of click's script for bash, so that bash does not expand patterns in descriptions."""


class DescribingBash(BashComplete):
    """Shows descriptions in the list of candidates; only the value is inserted."""

    source_template = BashComplete.source_template
    for _old, _new in _QUOTED:
        source_template = source_template.replace(_old, _new)

    def complete(self) -> str:
        """The candidates, one per line."""
        if os.environ.get("COMP_TYPE") != _LISTING:
            return super().complete()
        found = self.get_completions(*self.get_completion_args())
        if len(found) < 2:
            return "\n".join(map(self.format_completion, found))
        width = max(columns(item.value) for item in found)
        lines = []
        for item in found:
            padding = " " * (width - columns(item.value))
            about = cut(one_line(item.help), _MAX_DESCRIPTION_CHARS) if item.help else ""
            lines.append(f"{item.type},{item.value}{padding}  {about}".rstrip())
        return "\n".join(lines)


class DescribingFish(FishComplete):
    """Shows descriptions with commas: only the first comma of a line is a separator."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


def completion_class(shell: str) -> type[ShellComplete]:
    """Register the classes of this module with click, and return the one for a shell.

    The calls that the shell's script makes later need the registration too.
    """
    from click.shell_completion import get_completion_class

    add_completion_class(DescribingBash)
    add_completion_class(DescribingFish)
    found = get_completion_class(shell)
    assert found is not None
    return found
