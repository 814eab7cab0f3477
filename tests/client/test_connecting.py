"""Connecting: errors that say within seconds what is wrong; addresses; several event loops; forks."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback import Client, Tls, Worker, errors
from askback._wire.address import parse_address
from askback._wire.channel import Endpoint, channel_options
from askback._wire.connection import Connection
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.authority import Authority
from tests.support.fake_server import FakeServer, get_job
from tests.support.ports import free_port
from tests.support.refusals import SOON
from tests.support.waiting import until
from tests.support.wire import Wire

WITHIN = 4.0
"""Seconds until an error must be raised, on a busy machine. Plain gRPC took 10 to 27."""


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("host", "host:50051", None),
        (" host:1 ", "host:1", None),
        ("localhost:50051", "localhost:50051", None),
        ("HTTP://host:5/", "host:5", False),
        ("grpc://host", "host:50051", False),
        ("https://host", "host:50051", True),
        ("GRPCS://[::1]", "[::1]:50051", True),
        ("::1", "[::1]:50051", None),
        ("[::1]:5", "[::1]:5", None),
        ("fe80::1%eth0", "[fe80::1%eth0]:50051", None),
        ("dns:///host", "dns:///host:50051", None),
        ("DNS:///host:4/", "dns:///host:4", None),
        ("dns://10.0.0.1/host", "dns://10.0.0.1/host:50051", None),
        ("UNIX:///run/askback.sock", "unix:///run/askback.sock", None),
        ("unix:askback.sock", "unix:askback.sock", None),
        ("ipv4:10.0.0.1:5,10.0.0.2:5", "ipv4:10.0.0.1:5,10.0.0.2:5", None),
    ],
)
def test_addresses_as_people_write_them_are_parsed(text: str, target: str, tls: bool | None) -> None:
    assert (parse_address(text).target, parse_address(text).tls) == (target, tls)
    assert Endpoint(text).target == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("http://", "is empty"),
        ("host:", "a number from 1 to 65535"),
        ("host:0", "a number from 1 to 65535"),
        ("host:65536", "a number from 1 to 65535"),
        ("host:grpc", "a number from 1 to 65535"),
        ("::1:50051", r"write IPv6 as \[::1\]:50051"),
        ("[::1", "not an IPv6 address"),
        ("host/v1", "has a path"),
        ("https://host:1/askback", "has a path"),
        ("host?x=1", "query"),
        ("ana:swordfish@host:1", "credentials"),
        ("https://ana:swordfish@host", "credentials"),
        ("ftp://host", "ftp://, which is not gRPC"),
        ("ws://host", "ws://, which is not gRPC"),
        ("a:1,b:2", "several servers"),
        ("two words", "no usable host"),
        (":50051", "no usable host"),
        ("unix:", "names nothing"),
    ],
)
def test_an_invalid_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        parse_address(text)
    assert "swordfish" not in str(refused.value)


def test_a_scheme_that_contradicts_the_tls_setting_is_refused() -> None:
    assert Endpoint.resolve("https://host").tls == Tls()
    assert Endpoint.resolve("https://host", tls=Tls(b"roots")).tls == Tls(b"roots")
    assert Endpoint.resolve("http://host").tls is None
    with pytest.raises(ValueError, match="says TLS"):
        Endpoint.resolve("https://host", tls=False)
    with pytest.raises(ValueError, match="says no TLS"):
        Endpoint.resolve("http://host", tls=True)


def test_a_line_end_is_stripped_from_a_token_and_refused_inside_it() -> None:
    assert Endpoint("host", token="secret\n").token == "secret"
    with pytest.raises(ValueError, match="the token has characters") as refused:
        Endpoint("host", token="sec\nret")
    assert "ret" not in str(refused.value).replace("characters that", "")


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server of another protocol."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await reader.read()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def problem_of(target: str, tls: Tls | None = None) -> errors.CannotConnect:
    """The error of a client's first call, raised in time. A console and a worker raise the same."""
    async with asyncio.timeout(WITHIN):
        async with Client(target, user="ana", tls=tls or False, connect_timeout=0.5) as client:
            with pytest.raises(errors.CannotConnect) as refused:
                await client.get("j")
    assert "\n" not in str(refused.value)
    return refused.value


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http, "is an HTTP/1.1 server, not an Askback"),
        (ssh, "is not a gRPC server: it begins with 'SSH-2.0"),
        (silence, "does not speak plaintext gRPC with us"),
        (hang_up, "does not speak plaintext gRPC with us"),
    ],
)
async def test_the_error_names_a_server_that_is_no_askback(answer: Answer, says: str) -> None:
    async with answering(answer) as target:
        problem = await problem_of(target)
        assert says in str(problem)
        assert target in str(problem)


async def test_errors_name_an_unreachable_port_and_an_unknown_host() -> None:
    with socket.socket() as bound:  # bound, and not listening
        bound.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{bound.getsockname()[1]}"
        assert str(await problem_of(target)).startswith(f"nothing listens on {target}")
        async with asyncio.timeout(WITHIN):
            with pytest.raises(errors.CannotConnect, match="nothing listens"):
                async with Client(target, connect_timeout=0.5).console():
                    pass
    problem = await problem_of("no-such-host.invalid")
    assert "the name no-such-host.invalid cannot be resolved" in str(problem)
    assert problem.passing
    assert "No such file" in str(await problem_of("unix:/nowhere/askback.sock"))


async def test_errors_name_a_tls_mismatch_and_a_bad_certificate(tmp_path: Path) -> None:
    authority, other = Authority(), Authority("another authority")
    pair = authority.server()
    server = grpc.aio.server()
    secure = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    )
    mutual = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(pair.key, pair.certificate)], authority.pem, True)
    )
    plain = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    trusting, stranger = Tls(authority.pem), other.client("x")
    try:
        for target, tls, says in (
            (f"127.0.0.1:{secure}", None, "speaks TLS: add --ca FILE"),
            (f"127.0.0.1:{mutual}", None, "speaks TLS: add --ca FILE"),
            (f"127.0.0.1:{plain}", trusting, "does not speak TLS with us: leave --tls"),
            (f"127.0.0.1:{secure}", Tls(other.pem), "certificate signed by an unknown authority"),
            (f"127.0.0.1:{secure}", Tls(), "certificate signed by an unknown authority"),
            (
                f"127.0.0.1:{secure}",
                Tls(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"),
                "--ca holds no certificate",
            ),
            (f"127.0.0.1:{mutual}", trusting, "wants a client certificate: add --cert FILE and --key FILE"),
            (
                f"127.0.0.1:{mutual}",
                Tls(authority.pem, stranger.key, stranger.certificate),
                "does not accept the client certificate",
            ),
            (
                f"127.0.0.1:{mutual}",
                Tls(authority.pem, pair.key, stranger.certificate),
                "a certificate and its own key",
            ),
        ):
            problem = await problem_of(target, tls)
            assert says in str(problem), (says, str(problem))
            assert not problem.passing
        worker = Worker(f"127.0.0.1:{secure}")

        @worker.job("t")
        async def t(job: Any) -> None: ...

        async with asyncio.timeout(WITHIN):
            with pytest.raises(errors.CannotConnect, match="speaks TLS"):
                await worker.run(handle_signals=False)
    finally:
        await server.stop(None)
    async with answering(http, _context(tmp_path, pair)) as target:
        assert "speaks TLS, but not HTTP/2" in str(await problem_of(target, trusting))
        assert "speaks TLS: add --ca" in str(await problem_of(target))


def _context(folder: Path, pair: Any) -> ssl.SSLContext:
    pair.put(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


async def test_errors_name_a_certificate_that_is_expired_or_for_another_host(tmp_path: Path) -> None:
    authority = Authority()
    for pair, says in (
        (authority.server(expired=True), "the certificate has expired"),
        (authority.server(name="askback.example"), "the certificate is not for 127.0.0.1"),
    ):
        server = grpc.aio.server()
        port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials([(pair.key, pair.certificate)])
        )
        await server.start()
        assert says in str(await problem_of(f"127.0.0.1:{port}", Tls(authority.pem)))
        await server.stop(None)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        server.unary["GetJob"] = get_job
        yield server


async def test_a_client_that_was_connected_waits_for_its_server_to_return(server: FakeServer) -> None:
    """A client that never connected fails earlier. A restart of a server takes longer than two seconds."""
    async with Client(server.target, deadline=20) as client:
        await client.get("j")
        await server.stop()
        asking = asyncio.create_task(client.get("j"))
        done, _ = await asyncio.wait((asking,), timeout=2.5)
        assert not done
        await server.start(server.port)
        async with asyncio.timeout(15):
            assert (await asking).job_id == "j"


async def test_a_server_is_reached_that_takes_its_time_to_accept(server: FakeServer) -> None:
    """A slow network or a busy machine, and a call that the channel does not retry."""

    async def create(request: jobs.CreateJobRequest, context: object) -> jobs.CreateJobResponse:
        return jobs.CreateJobResponse(job=job_pb2.Job(job_id="j"))

    server.unary["CreateJob"] = create
    async with Wire(server.port, delay=0.3).serve() as slow:
        channel = Endpoint(f"127.0.0.1:{slow.port}").open()
        reply = await JobServiceStub(channel).CreateJob(jobs.CreateJobRequest(), timeout=SOON)
        assert reply.job.job_id == "j"
        await channel.close()


async def test_one_client_works_in_several_event_loops(server: FakeServer) -> None:
    client = Client(server.target)
    await client.get("j")

    def twice() -> list[str]:
        return [asyncio.run(client.get("j")).job_id for _ in range(2)]

    assert await asyncio.to_thread(twice) == ["j", "j"]
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(twice())) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert (await client.get("j")).job_id == "j"
    assert found == ["j"] * 4
    await client.aclose()


class _Dialled:
    """What a connection needs of its protocol until the welcome. Keeps weak references to the calls."""

    name = "test"
    session = None

    def __init__(self) -> None:
        self.calls: list[weakref.ref[Any]] = []

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        stub: Any = HitlServiceStub(channel)
        call = stub.Converse(metadata=tuple(metadata))
        self.calls.append(weakref.ref(call))
        return call

    def pack(self, frames: Sequence[Any]) -> hitl.ConverseRequest:
        return hitl.ConverseRequest(frames=frames)

    def hello(self) -> hitl.ConverseClientFrame:
        return hitl.ConverseClientFrame(hello=hitl.ConverseHello())


async def test_a_message_that_cannot_be_built_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """A defect of this program: the stream must not seem to be alive while it sends nothing."""

    class Broken(_Dialled):
        def pack(self, frames: Sequence[Any]) -> hitl.ConverseRequest:
            raise ValueError("a defect")

    async with FakeServer() as server:
        protocol: Any = Broken()
        connection = Connection(protocol, Endpoint(server.target), lambda _: None, lambda *_: None)
        with pytest.raises(errors.Unavailable, match="given up"):
            await connection.open()
    assert "a message could not be built" in caplog.text


async def test_a_connection_that_failed_frees_its_call_without_a_garbage_collection() -> None:
    """gRPC keeps a closed channel, which goes on connecting, while anything refers to one of its calls."""
    protocol: Any = _Dialled()
    connection = Connection(protocol, Endpoint(f"127.0.0.1:{free_port()}"), lambda _: None, lambda *_: None)
    gc.disable()
    try:
        with suppress(errors.Unavailable):
            await connection.open()
        [call] = protocol.calls
        await until(lambda: call() is None)
    finally:
        gc.enable()


def test_a_call_of_five_seconds_sees_an_attempt_to_reconnect() -> None:
    """gRPC makes a pause longer by up to a fifth. With pauses of 5 s an answer sent again failed although the
    server was back."""
    pause = dict(channel_options())["grpc.max_reconnect_backoff_ms"]
    assert isinstance(pause, int)
    assert pause * 1.2 < 5_000
