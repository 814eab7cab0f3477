"""Write docs/reference, or check that it is up to date: `python -m scripts.reference [--check]`.

In: the sources that `PAGES` names. Out: docs/reference/*; with --check nothing is written, and exit
status 1 with a list names the stale pages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scripts.reference import (
    command_line,
    contract,
    forms,
    keys,
    limits,
    measures,
    openapi,
    prompt_form,
    sdk,
    settings,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
PAGES: Mapping[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "api.md": ("protos/", contract.lines),
    "cli.md": ("the command line itself", command_line.lines),
    "forms.md": ("tests/forms", forms.lines),
    "keys.md": ("the consoles' table of keys", keys.lines),
    "limits.md": ("domain/limits.py, domain/input_rules.py and domain/field_limits.py", limits.lines),
    "metrics.md": ("the server's catalogue of metrics", measures.lines),
    "prompt-form.md": ("the contract and tests/vectors/prompts", prompt_form.lines),
    "python.md": ("the docstrings of client/askback", sdk.lines),
    "settings.md": ("the server's table of settings", settings.lines),
}


def page(source: str, lines: Iterator[str]) -> str:
    """The text of a page, with a comment below its title that says where it is generated from."""
    title, *rest = lines
    mark = f"<!-- Generated from {source} by `python -m scripts.reference`. Do not edit. -->"
    return "\n".join([title, "", mark, *rest]).rstrip() + "\n"


def main() -> None:
    """Generate the pages; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reference", description="Write docs/reference.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")
    check = parser.parse_args().check
    fresh = {name: page(source, lines()) for name, (source, lines) in PAGES.items()}
    fresh["openapi.json"] = openapi.text()
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.*")}
    stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    if check and stale:
        names = "\n".join(f"  docs/reference/{name}" for name in stale)
        sys.exit(f"stale reference, run `make reference`:\n{names}")
    for name in [] if check else stale:
        path = FOLDER / name
        if name in fresh:
            path.parent.mkdir(exist_ok=True)
            path.write_text(fresh[name], encoding="utf-8")
        else:
            path.unlink()
        print(f"docs/reference/{name}", "written" if name in fresh else "removed")


if __name__ == "__main__":
    main()
