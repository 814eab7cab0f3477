"""A message with too many items is refused before anything else is done with it."""

from typing import Any

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.field_limits import FIELD_LIMITS, limit_value
from askback_server.domain.limits import Limits
from tests.support.field_paths import SERVICES, entries, field_paths
from tests.support.refusals import expect_refusal
from tests.support.service import ServiceWorld

LIMITS = Limits()


async def test_every_list_and_map_of_every_call_is_limited(lite: ServiceWorld) -> None:
    checked = 0
    for path in field_paths():
        if not path.field.is_repeated or path.fields[0].name == "frames":
            continue
        stubs = {"Job": lite.jobs, "Wor": lite.workers, "Hit": lite.hitl, "Acc": lite.access}
        service = (stubs | {"Pol": lite.policies})[
            next(
                name[:3]
                for module in SERVICES
                for name, s in module.DESCRIPTOR.services_by_name.items()
                if path.method in s.methods_by_name
            )
        ]
        maximum = limit_value(LIMITS, FIELD_LIMITS[path.owner][path.field.name].entries)
        call = getattr(service, path.method)(path.message(entries(path.field, maximum + 1)))
        found = await expect_refusal(
            call.read() if path.method.startswith("Watch") else call, "INVALID_ARGUMENT", "INVALID_FIELD"
        )
        assert str(maximum) in found.violations[path.at()], path
        assert str(maximum + 1) in found.violations[path.at()], path
        checked += 1
    assert checked > 40


async def test_frames_of_streams_are_limited_one_by_one(lite: ServiceWorld) -> None:
    labels = {f"t{n}": "v" for n in range(2_000)}
    console = lite.console()
    await console.hello()
    await console.snapshot()
    found = await console.ask_refused(
        "INVALID_ARGUMENT", "INVALID_FIELD", list_prompts=hitl.ListPromptsRequest(filter={"labels": labels})
    )
    assert list(found.violations) == ["filter.labels"]
    # The stream continues.
    await console.ask(list_prompts=hitl.ListPromptsRequest())
    await _ends(console, *[hitl.ConverseClientFrame()] * (LIMITS.frames_per_message + 1), at="frames")
    for hello, at in (
        (hitl.ConverseHello(filter={"labels": labels}), "hello.filter.labels"),
        (hitl.ConverseHello(console_id="x" * 100_000), "hello.console_id"),
    ):
        await _ends(lite.console(), hitl.ConverseClientFrame(ref=1, hello=hello), at=at)
    worker = workers.WorkHello(worker_id="w", job_types=[f"t{n}" for n in range(20_000)])
    await _ends(lite.worker(), workers.WorkClientFrame(ref=1, hello=worker), at="hello.job_types")


async def _ends(stream: Any, *frames: Any, at: str) -> None:
    await stream.send(*frames)
    found = await stream.wait_for_end()
    assert found is not None
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert list(found.violations) == [at]
