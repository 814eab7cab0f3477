"""A prompt names the creator of its job in every call and stream."""

from askback import Client
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.lifecycle import SCRIPTED_HUMAN
from tests.support.requests import ACCEPT, answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell


async def test_every_call_that_returns_a_prompt_names_the_creator_of_its_job(world: ServiceWorld) -> None:
    """Jobs of ada, run by a worker of another user."""
    bot, ana = world.as_user("bot"), world.as_user("ana")
    console = world.console(ana)
    await console.hello()
    await console.snapshot()
    watch = ana.hitl.WatchPrompts(hitl.WatchPromptsRequest())
    assert (await watch.read()).events
    job = await world.create()
    lease = workers.LeaseJobsRequest(worker_id="w", job_types=["t"], wait={"seconds": 5})
    found = await bot.workers.LeaseJobs(lease)
    held = {"job_id": job.job_id, "token": found.jobs[0].token}
    ask = workers.AskPromptRequest(key="k", content=confirm(), **held)
    asked = (await bot.workers.AskPrompt(ask)).prompt
    assert asked.requested_by == "ada"
    assert (await bot.workers.AskPrompt(ask)).prompt.requested_by == "ada"  # replayed
    by_job = hitl.PromptFilter(job_id=job.job_id)
    got = jobs.GetJobRequest(job_id=job.job_id)
    for prompt in (
        (await console.event("upserted")).prompt,
        (await watch.read()).events[0].upserted.prompt,
        (await ana.hitl.ListPrompts(hitl.ListPromptsRequest(filter=by_job))).prompts[0],
        (await ana.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=asked.prompt_id))).prompt,
        (await world.jobs.GetJob(got)).open_prompts[0],
        (await bot.workers.AwaitPrompt(workers.AwaitPromptRequest(prompt_id=asked.prompt_id))).prompt,
        (await ana.hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=asked.prompt_id))).prompt,
        (await ana.hitl.ReleasePrompt(hitl.ReleasePromptRequest(prompt_id=asked.prompt_id))).prompt,
        (await bot.workers.AskPrompt(_amend(ask))).prompt,
    ):
        assert (prompt.prompt_id, prompt.requested_by) == (asked.prompt_id, "ada")
    taken = await ana.hitl.AnswerPrompt(answer(asked, decision=ACCEPT, revision=2))
    assert taken.result.prompt.requested_by == "ada"
    await bot.workers.ReleaseJob(workers.ReleaseJobRequest(**held))
    again = await bot.workers.LeaseJobs(lease)
    assert [p.requested_by for p in again.jobs[0].prompts] == ["ada"]
    watch.cancel()


def _amend(ask: workers.AskPromptRequest) -> workers.AskPromptRequest:
    ask.content.title = "Really?"
    return ask


async def test_requested_by_is_the_user_that_the_job_was_created_for(lite_url: str) -> None:
    async with serving(lite_url, test_mode=True) as world:
        assert (await world.create_prompt()).requested_by == "ada"
        root = world.as_user(SCRIPTED_HUMAN)  # an admin, in test mode
        request = jobs.CreateJobRequest(job_type="t", prompt=confirm(), user_id="carl")
        made = await root.jobs.CreateJob(request)
        assert (made.prompt.requested_by, made.job.user_id) == ("carl", "carl")


async def test_consoles_show_who_requested_a_prompt(lite: ServiceWorld, shell: Shell) -> None:
    asked = await lite.create_prompt(confirm("Deploy?"))
    target = f"127.0.0.1:{lite.service.port}"
    async with Client(target, user="ana") as client, client.console() as desk:
        async for prompt in desk.prompts():
            assert prompt.requested_by == "ada"
            break
        assert (await client.prompt(asked.prompt_id)).requested_by == "ada"
    shown = (await shell.ok("inbox", "show", asked.prompt_id)).out
    assert "requester   ada" in shown
