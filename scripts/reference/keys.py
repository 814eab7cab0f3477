"""The page of the keys, from the consoles' table of keys."""

from __future__ import annotations

from collections.abc import Iterator

from askback.terminal.keys import DELEGATION_KEYS, GROUP_KEYS, KEYS, RULE_KEYS, SCREEN_KEYS, VOTE_KEYS
from scripts.reference.tables import table


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield "# Keys"
    yield ""
    yield (
        "The keys of every console. `askback tui` takes a key at once. `askback console`, `askback inbox "
        "next` and `askback inbox answer` read lines: type the key, then Enter; the word works too. Only "
        "keys that the prompt offers do something; any other key asks again. "
        "`askback.terminal.keys.as_records()` gives the table as data."
    )
    yield ""
    yield from table(
        ("key", "word", "what it does", "decision"),
        (
            (
                f"`{key.key}`",
                str(key.action),
                key.does + (" (planned: no console has it yet)" if key.planned else ""),
                f"`{key.decision}`" if key.decision else "",
            )
            for key in KEYS
        ),
    )
    yield (
        "An answer takes one confirmation at most: `a` and `d` ask `[y/N]`, what you type for `r` and `v` "
        "sends it, and a form or an edited text is shown once more before it is sent. An approval of text "
        "that was not shown is confirmed twice. In `askback console`, `approve N` and `reject N` about a "
        "prompt that you have read need no confirmation."
    )
    yield ""
    yield (
        "Prompts that several people approve, or that exclude people, have these keys too, in `askback tui` "
        "and `askback console`; `g` also where one prompt is answered. The page has buttons instead."
    )
    yield ""
    yield from table(
        ("key", "word", "what it does"), ((f"`{key.key}`", str(key.action), key.does) for key in VOTE_KEYS)
    )
    yield "Similar prompts have one more key in `askback tui` and `askback console`:"
    yield ""
    yield from table(
        ("key", "word", "what it does"), ((f"`{key.key}`", str(key.action), key.does) for key in GROUP_KEYS)
    )
    yield "Prompts can be passed on there, too:"
    yield ""
    yield from table(
        ("key", "word", "what it does"),
        ((f"`{key.key}`", str(key.action), key.does) for key in DELEGATION_KEYS),
    )
    yield "People with the role `policy` make a rule of an answer there:"
    yield ""
    yield from table(
        ("key", "word", "what it does"), ((f"`{key.key}`", str(key.action), key.does) for key in RULE_KEYS)
    )
    yield "`askback tui` has these keys too:"
    yield ""
    yield from table(("key", "what it does"), ((f"`{key}`", does) for key, does in SCREEN_KEYS))
