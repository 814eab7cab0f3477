"""ListPrompts: order, pages, total and filters; hidden prompts are not listed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import expect_refusal
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import Caller, ServiceWorld
from tests.support.streams import ABSENT_ID


async def list_titles(caller: Caller, size: int = 0, **fields: Any) -> list[str]:
    """The titles of all pages."""
    titles: list[str] = []
    token, total = "", None
    while True:
        page = await caller.hitl.ListPrompts(
            pb.ListPromptsRequest(page_size=size, page_token=token, **fields)
        )
        titles += [p.content.title for p in page.prompts]
        assert total in (None, page.total_size)
        total = page.total_size
        token = page.next_page_token
        if not token:
            assert total == len(titles)
            return titles


async def test_what_a_person_answered_is_listed_newest_first(world: ServiceWorld) -> None:
    """By priority in no other list. A console sees others' answers too, but never a prompt for others; the
    token of one person's list is refused for another's."""
    ann, bob = world.as_user("ann"), world.as_user("bob")
    for who, title, content in (
        (ann, "first", {"priority": 1}),
        (bob, "other", {}),
        (ann, "second", {"priority": 9}),
        (ann, "third", {"audience": audience("ann")}),
    ):
        await who.hitl.AnswerPrompt(answer(await world.create_prompt(confirm(title, **content))))
    await world.create_prompt(confirm("open"))
    by_ann, by_bob = pb.PromptFilter(answered_by="ann"), pb.PromptFilter(answered_by="bob")
    for size in (1, 2, 0):
        assert await list_titles(ann, size, filter=by_ann) == ["third", "second", "first"]
        assert await list_titles(bob, size, filter=by_ann) == ["second", "first"]
    assert await list_titles(ann, filter=by_bob) == ["other"]
    assert await list_titles(ann, filter=pb.PromptFilter(answered_by="ann", labels={"a": "b"})) == []
    page = await ann.hitl.ListPrompts(pb.ListPromptsRequest(page_size=1, filter=by_ann))
    moved = pb.ListPromptsRequest(page_size=1, filter=by_bob, page_token=page.next_page_token)
    await expect_refusal(ann.hitl.ListPrompts(moved), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")


async def test_closed_prompts_are_listed_by_their_end_whatever_ended_them(world: ServiceWorld) -> None:
    """By another person, by a default, by the deadline, by the asker; with the service's unchecked total. A
    console sees no prompt for others, and a page token belongs to its order."""
    ann, bob = world.as_user("ann"), world.as_user("bob")
    default = prompts.DefaultAnswer(decision=prompts.DECISION_REJECT)
    by_default: Any = {"final_action": prompts.FINAL_ACTION_DEFAULT, "default_answer": default}
    await bob.hitl.AnswerPrompt(answer(await world.create_prompt(confirm("by bob", priority=9))))
    await bob.hitl.AnswerPrompt(
        answer(await world.create_prompt(confirm("hidden", audience=audience("bob"))))
    )
    await world.create_prompt(confirm("open"))
    for title, content in (("by default", by_default), ("expired", {})):
        await _end_of(ann, await world.create_prompt(confirm(title, timeout=seconds(0.1), **content)))
    withdrawn = await world.create_prompt(confirm("withdrawn"))
    await world.hitl.CancelPrompt(pb.CancelPromptRequest(prompt_id=withdrawn.prompt_id))
    order = pb.PROMPT_ORDER_CLOSE_TIME
    for size in (1, 2, 0):
        found = [p.content.title for p in await _all_pages(ann, size, order=order)]
        assert found == ["withdrawn", "expired", "by default", "by bob"], size
    only = pb.PromptFilter(states=[prompts.PROMPT_STATE_EXPIRED])
    assert [p.content.title for p in await _all_pages(ann, 1, order=order, filter=only)] == ["expired"]
    assert await list_titles(ann, order=order, filter=pb.PromptFilter(answered_by="bob")) == ["by bob"]
    page = await ann.hitl.ListPrompts(pb.ListPromptsRequest(page_size=1, order=order))
    assert page.total_size == -1
    moved = pb.ListPromptsRequest(page_size=1, page_token=page.next_page_token)
    await expect_refusal(ann.hitl.ListPrompts(moved), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")


async def _end_of(caller: Caller, prompt: prompts.Prompt) -> None:
    """Wait until no prompt of its job is open."""
    watch = pb.WatchPromptsRequest(filter=pb.PromptFilter(job_id=prompt.job_id))
    async for message in caller.hitl.WatchPrompts(watch):
        for event in message.events:
            if event.HasField("closed") or (event.HasField("caught_up") and not event.caught_up.open_prompts):
                return


async def _all_pages(caller: Caller, size: int, **fields: Any) -> list[prompts.Prompt]:
    found: list[prompts.Prompt] = []
    token = ""
    while True:
        page = await caller.hitl.ListPrompts(
            pb.ListPromptsRequest(page_size=size, page_token=token, **fields)
        )
        found += page.prompts
        if not (token := page.next_page_token):
            return found


async def test_pages_are_sorted_by_priority_deadline_and_age(world: ServiceWorld) -> None:
    await world.create_prompt(confirm("old"))
    await world.create_prompt(confirm("young"))
    await world.create_prompt(confirm("late", timeout=seconds(7200)))
    await world.create_prompt(confirm("soon", timeout=seconds(3600)))
    await world.create_prompt(confirm("high", priority=1))
    await world.create_prompt(confirm("low", priority=-1, timeout=seconds(60)))
    order = ["high", "soon", "late", "old", "young", "low"]
    for size in (1, 2, 4, 6, 0):
        assert await list_titles(world, size) == order


async def test_prompt_filters_narrow_the_list(world: ServiceWorld) -> None:
    a = await world.create_prompt(confirm("a", labels={"x": "1", "y": "2"}), job_type="ta")
    await world.create_prompt(confirm("b", kind="preview", labels={"x": "1"}), job_type="tb")
    await world.create_prompt(confirm("c", audience=audience(groups=["law", "ops"])), job_type="tb")
    closed = await world.create_prompt(confirm("d"), job_type="ta")
    await world.hitl.AnswerPrompt(answer(closed))
    await world.create_prompt(confirm("e"), namespace="other")
    ops = world.as_user("olga", "ops")

    async def matching_titles(caller: Caller = ops, **filter: Any) -> str:
        return "".join(sorted(await list_titles(caller, filter=pb.PromptFilter(**filter))))

    assert await matching_titles() == "abc"
    assert await matching_titles(world) == "ab"
    assert await matching_titles(job_types=["ta"]) == "a"
    assert await matching_titles(job_types=["ta", "tb"], labels={"x": "1"}) == "ab"
    assert await matching_titles(kinds=["preview", "other"]) == "b"
    assert await matching_titles(labels={"x": "1", "y": "2"}) == "a"
    assert await matching_titles(groups=["ops", "none"]) == "c"
    assert await matching_titles(states=[prompts.PROMPT_STATE_ANSWERED]) == "d"
    assert await matching_titles(states=[1, 2]) == "abcd"
    assert await matching_titles(job_id=a.job_id) == "a"
    assert await list_titles(ops, namespace="other") == ["e"]


async def test_what_ends_soon_is_listed_by_itself(lite: ServiceWorld) -> None:
    await lite.create_prompt(confirm("later", priority=5, timeout=seconds(7200)))
    await lite.create_prompt(confirm("never", priority=5))
    await lite.create_prompt(confirm("soon", timeout=seconds(60)))
    before = Timestamp()
    before.FromDatetime(datetime.now(UTC) + timedelta(minutes=5))
    soon = pb.PromptFilter(expires_before=before)
    assert await list_titles(lite, filter=soon) == ["soon"]
    watch = lite.hitl.WatchPrompts(pb.WatchPromptsRequest(filter=soon))
    found = await expect_refusal(watch.read(), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"filter.expires_before"}


async def test_the_asker_sees_all_prompts_of_its_jobs(lite: ServiceWorld) -> None:
    hidden = await lite.create_prompt(confirm("for bob", audience=audience("bob")), namespace="n")
    by_job = pb.PromptFilter(job_id=hidden.job_id)
    # Without a namespace the one of the job is used.
    assert await list_titles(lite, filter=by_job) == ["for bob"]
    assert await list_titles(lite, namespace="n") == []
    missing = pb.ListPromptsRequest(filter=pb.PromptFilter(job_id=ABSENT_ID))
    await expect_refusal(lite.hitl.ListPrompts(missing), "NOT_FOUND", "JOB_NOT_FOUND", job_id=ABSENT_ID)


async def test_a_page_token_belongs_to_its_query_and_its_caller(world: ServiceWorld) -> None:
    for _ in range(3):
        await world.create_prompt()
    page = await world.hitl.ListPrompts(pb.ListPromptsRequest(page_size=1))
    token = page.next_page_token
    other_filter = pb.PromptFilter(kinds=["confirm"])
    for caller, request in (
        (world, pb.ListPromptsRequest(page_token=token, filter=other_filter)),
        (world, pb.ListPromptsRequest(page_token=token, namespace="other")),
        (world, pb.ListPromptsRequest(page_token=token + "x")),
        (world.as_user("bob"), pb.ListPromptsRequest(page_token=token)),
    ):
        await expect_refusal(caller.hitl.ListPrompts(request), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")


async def test_pages_of_large_prompts_stay_small(lite: ServiceWorld) -> None:
    for _ in range(6):
        await lite.create_prompt(confirm("big", body="é" * 200_000))
    page = await lite.hitl.ListPrompts(pb.ListPromptsRequest())
    assert page.ByteSize() < 1024 * 1024
    assert len(await list_titles(lite)) == 6


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListPromptsRequest(page_size=-3), "page_size"),
        (pb.ListPromptsRequest(filter=pb.PromptFilter(states=[9])), "filter.states[0]"),  # type: ignore[list-item]
        (pb.ListPromptsRequest(order=9), "order"),  # type: ignore[arg-type]
        (
            pb.ListPromptsRequest(order=pb.PROMPT_ORDER_URGENCY, filter=pb.PromptFilter(answered_by="a")),
            "order",
        ),
        (
            pb.ListPromptsRequest(
                order=pb.PROMPT_ORDER_CLOSE_TIME,
                filter=pb.PromptFilter(states=[prompts.PROMPT_STATE_PENDING]),
            ),
            "filter.states[0]",
        ),
        *(
            (
                pb.ListPromptsRequest(
                    order=pb.PROMPT_ORDER_CLOSE_TIME, filter=pb.PromptFilter(**{name: given})
                ),
                f"filter.{name}",
            )
            for name, given in (("unattended", True), ("overdue", True), ("expires_before", Timestamp()))
        ),
    ],
)
async def test_a_wrong_request_is_named(shared_lite: ServiceWorld, request_: Any, field: str) -> None:
    found = await expect_refusal(shared_lite.hitl.ListPrompts(request_), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {field}


async def test_texts_that_cannot_be_stored_are_refused(world: ServiceWorld) -> None:
    for filter in (
        pb.PromptFilter(kinds=["a\0"]),
        pb.PromptFilter(job_types=["a\0"]),
        pb.PromptFilter(groups=["a\0"]),
        pb.PromptFilter(labels={"a": "\0"}),
    ):
        request = pb.ListPromptsRequest(filter=filter)
        await expect_refusal(world.hitl.ListPrompts(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    await expect_refusal(
        world.hitl.GetPrompt(pb.GetPromptRequest(job_id=ABSENT_ID, key="\0")), "NOT_FOUND", "PROMPT_NOT_FOUND"
    )


async def test_prompts_for_others_are_not_listed(lite: ServiceWorld) -> None:
    # With authentication off every caller has all roles except admin, and a worker or client reads any
    # prompt of its namespaces; test_permissions.py has the pure console.
    mine = await lite.create_prompt(confirm("mine", audience=audience("ada")))
    theirs = await lite.create_prompt(confirm("theirs", audience=audience("bob", groups=["law"])))
    assert await list_titles(lite) == ["mine"]
    assert await list_titles(lite.as_user("eve", "law")) == ["theirs"]
    for call in (
        lite.hitl.AnswerPrompt(answer(theirs)),
        lite.hitl.ClaimPrompt(pb.ClaimPromptRequest(prompt_id=theirs.prompt_id)),
        lite.hitl.ReleasePrompt(pb.ReleasePromptRequest(prompt_id=theirs.prompt_id)),
    ):
        await expect_refusal(call, "NOT_FOUND", "PROMPT_NOT_FOUND", prompt_id=theirs.prompt_id)
    assert (await lite.prompt(theirs.prompt_id)).submissions == 0
    assert (await lite.hitl.AnswerPrompt(answer(mine))).result.status == prompts.ANSWER_STATUS_ACCEPTED
