"""Click's completion for bash and fish, with descriptions where it leaves them out or cuts them."""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, FishComplete, ShellComplete, add_completion_class

from askback._text.text import columns, cut, one_line

_LISTING = "63"
"""bash's COMP_TYPE when Tab was pressed again and the candidates are listed: nothing is inserted then."""
_DESCRIPTION = 60
_QUOTED = (
    ("COMP_CWORD=$COMP_CWORD", "COMP_CWORD=$COMP_CWORD COMP_TYPE=$COMP_TYPE"),
    ("for completion in $response; do", "while IFS= read -r completion; do"),
    ("IFS=',' read type value", "IFS=',' read -r type value"),
    ("COMPREPLY+=($value)", 'COMPREPLY+=("$value")'),
    ("    done\n", '    done <<< "$response"\n'),
)
"""Changes of click's script for bash: nothing in a description is a pattern for file names."""


class DescribingBash(BashComplete):
    """In a list of candidates, each has its description beside it; what is inserted is the value alone."""

    source_template = BashComplete.source_template
    for _old, _new in _QUOTED:
        source_template = source_template.replace(_old, _new)

    def complete(self) -> str:
        """The candidates, one a line."""
        if os.environ.get("COMP_TYPE") != _LISTING:
            return super().complete()
        found = self.get_completions(*self.get_completion_args())
        if len(found) < 2:
            return "\n".join(map(self.format_completion, found))
        width = max(columns(item.value) for item in found)
        lines = []
        for item in found:
            padding = " " * (width - columns(item.value))
            about = cut(one_line(item.help), _DESCRIPTION) if item.help else ""
            lines.append(f"{item.type},{item.value}{padding}  {about}".rstrip())
        return "\n".join(lines)


class DescribingFish(FishComplete):
    """Descriptions are whole: only the first comma of a line separates."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


def completion_class(shell: str) -> type[ShellComplete]:
    """The class for a shell, registered with click: what the shell's script calls later finds it too."""
    from click.shell_completion import get_completion_class

    add_completion_class(DescribingBash)
    add_completion_class(DescribingFish)
    found = get_completion_class(shell)
    assert found is not None
    return found
