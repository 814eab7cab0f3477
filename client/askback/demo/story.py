"""The stories of the demo: the examples of the documentation, each with a script."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askback._model.enums import DecisionKind

NAMES = {
    "release": "release_approval",
    "understanding": "document_understanding",
    "import": "batch_import",
}
"""The folder of each story."""


@dataclass(frozen=True, slots=True)
class Line:
    """One answer of the scripted person."""

    decision: DecisionKind
    values: dict[str, Any] | None = None
    edits: dict[str, str] | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """An example: its worker program and job, the answers of the person, and the expected result."""

    name: str
    worker: Path
    job_type: str
    input: dict[str, Any]
    user: str
    groups: list[str]
    kill_at: str
    """The key of the prompt that is open while the server is killed."""
    answers: dict[str, list[Line]]
    """By the prompt's key; all but the last answer are expected to be refused."""
    result: Any


def load(name: str, *, at_terminal: bool = False) -> Story:
    """Load the story of this name. Raises FileNotFoundError if Askback is installed without its examples."""
    folder = _examples() / NAMES[name]
    script = tomllib.loads((folder / "story.toml").read_text(encoding="utf-8"))
    given = {**script["input"], **(script.get("at_terminal", {}) if at_terminal else {})}
    return Story(
        name=name,
        worker=folder / script["worker"],
        job_type=script["job_type"],
        input={field: _content(folder, value) for field, value in given.items()},
        user=script["person"]["user"],
        groups=script["person"]["groups"],
        kill_at=script["kill_at"],
        answers={
            key: [Line(**{**line, "decision": DecisionKind(line["decision"])}) for line in lines]
            for key, lines in script["answers"].items()
        },
        result=script["result"],
    )


def _examples() -> Path:
    """The folder of the examples: beside this file in an installed wheel, at the top of a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "examples", here.parents[2] / "examples"):
        if (folder / "release_approval").is_dir():
            return folder
    raise FileNotFoundError("this installation has no examples to play: install the wheel, or use a checkout")


def _content(folder: Path, value: Any) -> Any:
    """A value of the input; `{file = NAME}` stands for the text of a file beside the story."""
    if isinstance(value, Mapping) and set(value) == {"file"}:
        return (folder / value["file"]).read_text(encoding="utf-8")
    return value
