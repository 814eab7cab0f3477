"""Token files of the service, for tests with authentication."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from askback_server.transport.tokens import hash_token


class TokenFile:
    """A token file; each person's token is `NAME-token`, unless another one is given."""

    def __init__(self, path: Path, **people: Any) -> None:
        self.path = path
        self.people = people
        self.write()

    def write(self, *, without: str = "", **changed: Any) -> None:
        """Write the people, with changed fields, or without one of them."""
        lines = []
        for name, fields in {**self.people, **changed}.items():
            given = {"roles": ["console"], "namespaces": ["default"], "token": f"{name}-token", **fields}
            if name == without:
                continue
            lines.append(f'[[tokens]]\nsha256 = "{hash_token(given.pop("token"))}"\nsubject = "{name}"')
            lines += [f"{key} = {value}".replace("'", '"') for key, value in given.items()]
        self.path.write_text("\n".join(lines))
