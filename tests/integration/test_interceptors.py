"""The interceptor around unary calls, on a real server."""

import logging
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.principals import Role
from askback_server.transport.call_ends import REQUEST_ID
from askback_server.transport.tokens import NoAuthentication
from tests.support.intercepted import ADA, reason_of, serving
from tests.support.waiting import until


def call_records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [r for r in caplog.records if r.name == "askback.server.calls"]


async def test_a_unary_call_has_its_caller_and_returns_its_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    async with serving() as world:
        call = world.stub.GetJob(
            jobs.GetJobRequest(job_id="some-id"), metadata=(*ADA, (REQUEST_ID, "mine-1"))
        )
        response = await call
        assert response.job.user_id == "ada"
        assert set(response.job.labels) == {"ops", "qa"}
        assert response.job.request_id == "mine-1"
        assert dict(await call.trailing_metadata())[REQUEST_ID] == "mine-1"
    [line] = call_records(caplog)
    assert line.method == "/askback.v1.JobService/GetJob"
    assert line.code == "OK"
    assert line.subject == "ada"
    assert line.job_id == "some-id"
    assert line.request_id == "mine-1"
    assert line.duration_ms > 0


@pytest.mark.parametrize("sent", ["x" * 129, "a b", 'a"b', ""])
async def test_an_invalid_request_id_is_replaced(sent: str) -> None:
    async with serving() as world:
        first = await world.stub.GetJob(jobs.GetJobRequest(), metadata=((REQUEST_ID, sent),))
        second = await world.stub.GetJob(jobs.GetJobRequest(), metadata=((REQUEST_ID, sent),))
        assert first.job.request_id not in ("", sent, second.job.request_id)


async def test_errors_become_statuses_with_one_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    async with serving() as world:
        for job_id, code, reason in (
            ("missing", grpc.StatusCode.NOT_FOUND, "ERROR_REASON_JOB_NOT_FOUND"),
            ("full", grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_QUEUE_FULL"),
            ("group", grpc.StatusCode.NOT_FOUND, "ERROR_REASON_JOB_NOT_FOUND"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await world.stub.GetJob(jobs.GetJobRequest(job_id=job_id), metadata=ADA)
            assert refused.value.code() is code
            assert reason_of(refused.value) == reason
            assert dict(refused.value.trailing_metadata())[REQUEST_ID]
    assert [line.code for line in call_records(caplog)] == ["NOT_FOUND", "RESOURCE_EXHAUSTED", "NOT_FOUND"]
    assert call_records(caplog)[0].reason == "JOB_NOT_FOUND"


@pytest.mark.parametrize("what", ["bug", "leak"])
async def test_a_bug_is_reported_by_its_id_only(what: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as world:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.GetJob(jobs.GetJobRequest(job_id=what), metadata=ADA, timeout=5)
        assert refused.value.code() is grpc.StatusCode.INTERNAL
        assert "swordfish" not in str(refused.value)
        [bug] = [r for r in caplog.records if r.name == "askback.server.errors"]
        assert bug.error_id in refused.value.details()  # type: ignore[attr-defined]
        assert bug.exc_info is not None


async def test_an_abort_by_a_handler_keeps_its_status(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    async with serving() as world:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.GetJob(jobs.GetJobRequest(job_id="abort"), metadata=ADA)
        assert refused.value.code() is grpc.StatusCode.DATA_LOSS
        # The status reaches the client before the call's task has ended.
        await until(lambda: call_records(caplog))
    assert call_records(caplog)[0].code == "DATA_LOSS"


async def test_an_unauthenticated_caller_may_only_check_health() -> None:
    async with serving() as world:
        unnamed = (("askback-user", " "),)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.GetJob(jobs.GetJobRequest(), metadata=unnamed)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert dict(refused.value.trailing_metadata())[REQUEST_ID]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.WatchJob(jobs.WatchJobRequest(), metadata=unnamed).read()
        assert reason_of(refused.value) == "ERROR_REASON_UNAUTHENTICATED"
        answer = await world.health.Check(health_pb2.HealthCheckRequest(), metadata=unnamed)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_calls_that_are_ok_can_be_left_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    async with serving(level=logging.DEBUG) as world:
        await world.stub.GetJob(jobs.GetJobRequest())
    assert not call_records(caplog)


async def test_a_method_that_does_not_exist_is_unimplemented() -> None:
    async with serving() as world:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.channel.unary_unary("/askback.v1.JobService/Nothing")(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "/askback.v1.JobService/Nothing" not in world.interceptor._wrapped


def test_trusted_roles_do_not_include_admin() -> None:
    principal = NoAuthentication().authenticate(ADA)
    assert principal.roles == {Role.CLIENT, Role.WORKER, Role.CONSOLE}
