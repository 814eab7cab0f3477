"""`askback console`: several prompts with one decision, and exactly those that were shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.interactive import InteractiveProcesses
from tests.support.requests import answer, confirm, form
from tests.support.service import ServiceWorld


@pytest.fixture
async def consoles(lite: ServiceWorld, tmp_path: Path) -> AsyncIterator[InteractiveProcesses]:
    """Starts consoles of `lite`."""
    consoles = InteractiveProcesses(f"127.0.0.1:{lite.service.port}", tmp_path)
    yield consoles
    consoles.end()


async def _answer_of(world: ServiceWorld, prompt: prompts.Prompt) -> prompts.Answer | None:
    found = await world.prompt(prompt.prompt_id)
    return found.resolution.answer if found.HasField("resolution") else None


async def test_similar_prompts_are_decided_as_they_were_shown(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """One that ends meanwhile is named, and one that arrives meanwhile is not decided."""
    first, second, third = [
        await lite.create_prompt(confirm(f"Refund {n}?", body=f"Order {n}", group_key="refunds"))
        for n in (1, 2, 3)
    ]
    values = await lite.create_prompt(form("How many?", group_key="refunds"))
    alone = await lite.create_prompt(confirm("Deploy?"))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("similar 5", "! no other open prompt is similar to 5")
    await ana.enter("similar 1", "Decide all 4: a approve, r reject, q leave them: ")
    assert "4 prompts (refunds):" in ana.shown
    assert all(f"| Order {n}" in ana.shown for n in (1, 2, 3)), "each is shown before it is decided"
    late = await lite.create_prompt(confirm("Refund 4?", group_key="refunds"))
    await ana.wait_for("* 6 new: [confirm] Refund 4?")
    await lite.as_user("bob").hitl.AnswerPrompt(answer(second, "bob's"))
    await ana.wait_for("+ 2 answered by bob")
    await ana.enter("a", "Approve these 3? [y/N] ")
    assert "4 is left out: it offers answer, dismiss" in ana.shown
    await ana.enter("y", "1 of 3 not decided by this: 2")
    assert "   1  Approved: Refund 1?" in ana.shown
    assert "CLOSED: answered by bob" in ana.shown
    one, two = await _answer_of(lite, first), await _answer_of(lite, third)
    assert one is not None
    assert two is not None
    assert one.batch_id == two.batch_id != ""
    assert [await _answer_of(lite, prompt) for prompt in (values, alone, late)] == [None] * 3
    ana.type("quit\n")
    assert await ana.wait_for_end() != 0


async def test_named_prompts_are_decided_together(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    """At once if they have been read; a list that is not clear decides nothing."""
    asked = [await lite.create_prompt(confirm(f"Refund {n}?")) for n in (1, 2, 3)]
    await lite.as_user("bob").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=asked[2].prompt_id))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("reject 1, 2", "! name them without spaces: 1,4,7")
    await ana.enter("reject 1,9", "! there is no prompt 9 here")
    await ana.enter("reject 1,2,3 not now", "Reject these 3? [y/N] ")
    await ana.enter("", "they are left as they are")
    await ana.enter("reject 1,2,3 not now", "1 of 3 not decided by this: 3")
    assert "CLAIMED: bob has taken it on" in ana.shown
    one, two, three = [await _answer_of(lite, prompt) for prompt in asked]
    assert one is not None
    assert two is not None
    assert three is None
    assert (one.comment, two.comment) == ("not now", "not now")
    assert one.batch_id == two.batch_id
    ana.type("quit\n")
    await ana.wait_for_end()
