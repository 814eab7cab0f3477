"""Every shape of a form, filled in on the full screen with the lines that are typed into the line console."""

from __future__ import annotations

import asyncio
from typing import Any

from askback._model.json_text import dumps
from askback.terminal.draft import SavedInput
from askback.terminal.form_filler import FormFiller
from askback.terminal.prompt_form import form_of
from tests.forms import SHAPES, ZONE, prompt_with
from tests.support.zones import zone
from tests.tui.world import World


async def test_each_shape_is_filled_in_with_the_same_lines(world: World) -> None:
    wrong = {}
    async with world.open(size=(80, 15)):
        with zone(ZONE):
            for shape in SHAPES:
                values = await fill_in(world, shape)
                if values != shape["values_json"]:
                    wrong[shape["name"]] = values
    assert wrong == {}
    assert len(SHAPES) > 50


async def fill_in(world: World, shape: dict[str, Any]) -> str:
    """Type the lines of a shape. Return the values as JSON text."""
    filler = FormFiller(form_of(prompt_with(shape)), world.app._terminal, SavedInput())
    filling = asyncio.ensure_future(filler.ask_all())
    lines = list(shape["typed"])
    while not filling.done():
        await world.until(lambda: filling.done() or world.question != "")
        question = world.pane.question
        if question is None:
            break
        if question.beginning is None:
            world.pane.line.value = lines.pop(0)
            world.clock.pass_dead_time()
            await world.pane.line.action_submit()
        else:
            world.pane.text.text = text_of(lines, question.beginning)
            world.clock.pass_dead_time()
            world.pane.action_finish()
        await world.until(lambda question=question: world.pane.question is not question)
    assert lines == [], shape["name"]
    return dumps(await filling)


def text_of(lines: list[str], beginning: str) -> str:
    """The text that the line console reads from these lines; they are removed."""
    first = lines.pop(0)
    if not first.strip():
        return beginning
    if first.strip() == "-" and beginning:
        return ""
    text = first + "\n"
    while (line := lines.pop(0)) != ".":
        text += line + "\n"
    return text
