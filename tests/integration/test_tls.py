"""TLS from files on real sockets: accepted clients, their identity, and certificates that change."""

import asyncio
import hashlib
import logging
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback.v1 import job_service_pb2 as jpb
from askback_server.lifecycle import Service
from askback_server.transport.certificates import BadCertificates
from tests.support.authority import Authority, KeyPair
from tests.support.refusals import SOON, expect_refusal, outcome
from tests.support.requests import confirm
from tests.support.service import Caller, serving
from tests.support.streams import Console, Worker

TOKEN = "ana-s3cret"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def stranger() -> Authority:
    """An authority that neither side trusts."""
    return Authority("a stranger")


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    """`tls.crt`, `tls.key`, `ca.crt` and `tokens.toml`."""
    authority.server().put(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    common = 'roles = ["client", "console", "worker"]\nnamespaces = ["default"]\n'
    (tmp_path / "tokens.toml").write_text(
        f'[[tokens]]\nsha256 = "{digest}"\nsubject = "ana"\n{common}'
        f'[[tokens]]\ncertificate = "spiffe://shop/worker"\nsubject = "the worker"\n{common}'
        f'[[tokens]]\ncertificate = "bob"\nsubject = "bob by his certificate"\n{common}'
        f'[[tokens]]\ncertificate = "late"\nsubject = "late"\nexpires = 2020-01-01T00:00:00Z\n{common}'
    )
    return tmp_path


def tls(folder: Path, *, mutual: bool = False) -> dict[str, Any]:
    """The settings."""
    files = {"tls_cert": str(folder / "tls.crt"), "tls_key": str(folder / "tls.key")}
    return {**files, "tls_client_ca": str(folder / "ca.crt")} if mutual else files


@asynccontextmanager
async def channel(
    service: Service, roots: bytes, me: KeyPair | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A separate connection."""
    credentials = grpc.ssl_channel_credentials(
        roots, me.key if me is not None else None, me.certificate if me is not None else None
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{service.port}", credentials, options=options) as opened:
        yield opened


async def subject(opened: grpc.aio.Channel, token: str = "") -> str:
    """The identity of a caller: the owner of a job that it creates."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    made = await Caller(opened, metadata).jobs.CreateJob(jpb.CreateJobRequest(job_type="t"), timeout=SOON)
    return str(made.job.user_id)


async def server_certificate(service: Service) -> bytes:
    """The server certificate of a new connection in PEM, from a handshake without gRPC."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    async with asyncio.timeout(SOON):
        _, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return ssl.DER_cert_to_PEM_cert(shown).encode()


async def test_calls_and_streams_work_over_tls(
    lite_url: str, folder: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(lite_url, auth=str(folder / "tokens.toml"), **tls(folder)) as world:
        async with channel(world.service, authority.pem) as opened:
            assert await subject(opened, TOKEN) == "ana"
            found = await expect_refusal(
                Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest()), "UNAUTHENTICATED", "UNAUTHENTICATED"
            )
            assert "Bearer" in found.message
            console = Console(Caller(opened, (("authorization", f"Bearer {TOKEN}"),)).hitl.Converse())
            await console.hello()
            assert (await console.snapshot())[0] == []
            await console.aclose()
        assert "without --tls-client-ca no client can present one" in caplog.text  # the file has such entries
        # Without TLS no call succeeds.
        assert await outcome(world.jobs.ListJobs(jpb.ListJobsRequest(), timeout=2)) == "UNAVAILABLE"


async def test_a_client_verifies_the_server(
    lite_url: str, folder: Path, stranger: Authority, authority: Authority
) -> None:
    async with serving(lite_url, **tls(folder)) as world:
        async with channel(world.service, stranger.pem) as opened:
            jobs = Caller(opened, ()).jobs
            assert await outcome(jobs.ListJobs(jpb.ListJobsRequest(), timeout=2)) == "UNAVAILABLE"
        async with channel(world.service, authority.pem) as opened:
            assert await outcome(Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest())) == "OK"


async def test_mutual_tls_accepts_only_clients_of_its_authority(
    lite_url: str, folder: Path, authority: Authority, stranger: Authority
) -> None:
    auth = str(folder / "tokens.toml")
    async with serving(lite_url, auth=auth, **tls(folder, mutual=True)) as world:
        for me in (None, stranger.client("bob")):
            async with channel(world.service, authority.pem, me) as opened:
                metadata = (("authorization", f"Bearer {TOKEN}"),)
                call = Caller(opened, metadata).jobs.ListJobs(jpb.ListJobsRequest(), timeout=2)
                assert await outcome(call) == "UNAVAILABLE"
        async with channel(world.service, authority.pem, authority.client("anybody")) as opened:
            assert await subject(opened, TOKEN) == "ana"


async def test_a_certificate_identifies_a_caller_without_a_token(
    lite_url: str, folder: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    auth = str(folder / "tokens.toml")
    async with serving(lite_url, auth=auth, **tls(folder, mutual=True)) as world:
        assert "can present one" not in caplog.text
        bob = authority.client("bob")
        async with channel(world.service, authority.pem, bob) as opened:
            assert await subject(opened) == "bob by his certificate"
            # A token takes precedence: a certificate does not make up for a wrong one.
            assert await subject(opened, TOKEN) == "ana"
            for metadata in ((("authorization", "Bearer wrong"),), (("authorization", "Basic x"),)):
                await expect_refusal(
                    Caller(opened, metadata).jobs.ListJobs(jpb.ListJobsRequest()),
                    "UNAUTHENTICATED",
                    "UNAUTHENTICATED",
                )
        # Alternative names take precedence over the common name, also on streams.
        both = authority.client("bob", "spiffe://shop/other", "spiffe://shop/worker")
        async with channel(world.service, authority.pem, both) as opened:
            assert await subject(opened) == "the worker"
            worker = Worker(Caller(opened, ()).workers.Work())
            assert (await worker.hello()).session_id
            assert (await worker.next_job()).job.user_id
            await worker.aclose()
        for name, says in (("eve", "no entry has `certificate` = eve"), ("late", "entry has expired")):
            async with channel(world.service, authority.pem, authority.client(name)) as opened:
                found = await expect_refusal(
                    Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest()),
                    "UNAUTHENTICATED",
                    "UNAUTHENTICATED",
                )
                assert says in found.message


async def test_a_new_certificate_serves_new_connections_and_leaves_open_streams_alone(
    lite_url: str, folder: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(lite_url, **tls(folder)) as world, channel(world.service, authority.pem) as opened:
        caller = Caller(opened, (("askback-user", "ada"),))
        console = Console(caller.hitl.Converse())
        await console.hello()
        await console.snapshot()
        before = (folder / "tls.crt").read_bytes()
        assert await server_certificate(world.service) == before
        new = authority.server().put(folder)
        assert await server_certificate(world.service) == new.certificate != before
        assert [r for r in caplog.records if "a new certificate is in use" in r.message]
        # The earlier stream continues in both directions.
        await caller.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", prompt=confirm("Still there?")))
        assert (await console.event("upserted")).prompt.content.title == "Still there?"
        await console.nothing_more()
        await console.aclose()


async def test_a_swapped_link_of_a_mounted_secret_is_followed(
    lite_url: str, tmp_path: Path, authority: Authority
) -> None:
    """In a mounted secret, files are links through `..data`, a link that is replaced."""
    mount = tmp_path / "secret"
    mount.mkdir()
    first = authority.server()
    for number, pair in enumerate((first, authority.server())):
        (mount / f"..{number}").mkdir()
        pair.put(mount / f"..{number}")
        for file in ("tls.crt", "tls.key"):
            shutil.copystat(mount / "..0" / file, mount / f"..{number}" / file)  # same modification times
    (mount / "..data").symlink_to("..0")
    for file in ("tls.crt", "tls.key"):
        (mount / file).symlink_to(f"..data/{file}")
    async with serving(lite_url, **tls(mount)) as world:
        assert await server_certificate(world.service) == first.certificate
        (mount / "..next").symlink_to("..1")
        os.replace(mount / "..next", mount / "..data")
        assert await server_certificate(world.service) == (mount / "..1" / "tls.crt").read_bytes()


@pytest.mark.parametrize("what", ["half", "nonsense", "gone", "encrypted", "roots"])
async def test_a_broken_certificate_pair_keeps_the_old_one_and_is_logged_once(
    lite_url: str, folder: Path, authority: Authority, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(lite_url, **tls(folder, mutual=True)) as world:
        bob, before = authority.client("bob"), (folder / "tls.crt").read_bytes()
        new = authority.server()
        if what == "half":
            (folder / "tls.crt").write_bytes(new.certificate)
        elif what == "nonsense":
            (folder / "tls.key").write_text("nonsense")
        elif what == "gone":
            (folder / "tls.key").unlink()
        elif what == "encrypted":
            (folder / "tls.key").write_text(
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"
            )
        else:
            (folder / "ca.crt").write_text("nobody")
        for _ in range(3):
            assert await server_certificate(world.service) == before
            async with channel(world.service, authority.pem, bob) as opened:
                assert await outcome(Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest())) == "OK"
        errors = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
        assert len(errors) == 1, errors
        assert "the previous one stays in use" in errors[0]
        assert str(folder / ("ca.crt" if what == "roots" else "tls.")) in errors[0]
        # It is loaded as soon as it is complete again.
        (folder / "ca.crt").write_bytes(authority.pem)
        new.put(folder)
        assert await server_certificate(world.service) == new.certificate


async def test_changed_client_authorities_are_reloaded(
    lite_url: str, folder: Path, authority: Authority, stranger: Authority
) -> None:
    async with serving(lite_url, **tls(folder, mutual=True)) as world:
        (folder / "ca.crt").write_bytes(stranger.pem)
        async with channel(world.service, authority.pem, stranger.client("eve")) as opened:
            assert await outcome(Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest())) == "OK"
        async with channel(world.service, authority.pem, authority.client("bob")) as opened:
            call = Caller(opened, ()).jobs.ListJobs(jpb.ListJobsRequest(), timeout=2)
            assert await outcome(call) == "UNAVAILABLE"


@pytest.mark.parametrize("file", ["tls.crt", "tls.key", "ca.crt"])
async def test_files_that_cannot_be_used_are_refused_at_the_start(
    lite_url: str, folder: Path, file: str
) -> None:
    (folder / file).write_text("nonsense")
    with pytest.raises(BadCertificates, match=file):
        async with serving(lite_url, **tls(folder, mutual=True)):
            pass
