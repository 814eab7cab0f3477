"""Every kind of form, in one table for all consoles: `shapes.json`, with its screens in `screens/`.

A shape has the schema (or the questions) of a form, the lines that a user types into the line console, the
resulting values, and `inputs`: single lines with the value of each, or the reason why it is refused. Times
are those of a user in Berlin. An input with `"web": false` has other controls in the page: several,
or into none. `python -m tests.forms` rewrites the schemas and the screens.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from askback._model.form import TypeForm
from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback.terminal.draft import SavedInput, write_values
from askback.terminal.form_filler import FormFiller
from askback.terminal.prompt_form import form_of
from askback.v1 import prompt_pb2 as pb
from tests.forms.types import TYPES
from tests.support.dialogue import ScriptedDialogue, prompt

HERE = Path(__file__).parent
SHAPES: list[dict[str, Any]] = json.loads((HERE / "shapes.json").read_text())
ZONE = "Europe/Berlin"


def type_form(name: str) -> TypeForm:
    """The SDK's form of the shape's Python type."""
    return TypeForm.of(TYPES[name], "Which one?")


def prompt_with(shape: dict[str, Any]) -> PromptInfo:
    """A prompt with the shape's form."""
    if "questions" in shape:
        questions = [ParseDict(question, pb.Question()) for question in shape["questions"]]
        return prompt(questions=pb.QuestionForm(questions=questions))
    return prompt(schema_json=json.dumps(shape["schema"]))


def screen(shape: dict[str, Any]) -> tuple[str, Any]:
    """Type the shape's lines into the line console. Returns what it shows, and the resulting values."""
    form, said, typed = form_of(prompt_with(shape)), ScriptedDialogue(*shape["typed"]), SavedInput()
    values = asyncio.run(FormFiller(form, said, typed).ask_all())
    assert said.unused_lines == [], f"unused lines: {said.unused_lines}"
    said.writer.line("=> ")
    write_values(said.writer, form, values)
    return said.text, values


def rewrite() -> None:
    """Rewrite the schemas and the screens."""
    os.environ["TZ"] = ZONE
    time.tzset()
    for shape in SHAPES:
        if shape["name"] in TYPES:
            shape["schema"] = json.loads(type_form(shape["name"]).schema_json)
        try:
            text, values = screen(shape)
            shape["values_json"] = dumps(values)
        except (AssertionError, EOFError) as error:
            print(shape["name"], repr(error))
            continue
        (HERE / "screens" / f"{shape['name']}.txt").write_text(text)
    (HERE / "shapes.json").write_text(json.dumps(SHAPES, indent=2, ensure_ascii=False) + "\n")
