"""A client's server and identity: arguments override the environment, and TLS is read from files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback import Client, Tls, Unavailable, Worker
from askback._wire.channel import ENVIRONMENT, Endpoint
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the environment in which the tests run."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name in ("ca", "cert", "key"):
        found[name] = tmp_path / f"{name}.pem"
        found[name].write_bytes(name.encode() + b"\n" + PEM)
    return found


def test_tls_settings_are_read_from_files(files: dict[str, Path]) -> None:
    tls = Tls.from_files(files["ca"], cert=str(files["cert"]), key=files["key"])
    assert tls.root_certificates == b"ca\n" + PEM
    assert tls.certificate_chain == b"cert\n" + PEM
    assert tls.private_key == b"key\n" + PEM
    assert "private_key" not in repr(tls)
    assert Tls.from_files() == Tls()


def test_unusable_tls_files_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    for half in ({"cert": files["cert"]}, {"key": files["key"]}):
        with pytest.raises(ValueError, match="both, cert= and key="):
            Tls.from_files(**half)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pem"):
        Tls.from_files(tmp_path / "nowhere.pem")
    (tmp_path / "ca.der").write_bytes(b"\x30\x82")
    with pytest.raises(ValueError, match=r"ca\.der is not a PEM file"):
        Tls.from_files(tmp_path / "ca.der")


def test_client_and_command_line_read_the_same_variables(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "SERVER": "there:1",
        "TOKEN": "t",
        "USER": "ana",
        "GROUP": "desk law",
        "NAMESPACE": "eu",
        "CA": str(files["ca"]),
        "CERT": str(files["cert"]),
        "KEY": str(files["key"]),
    }
    for name, value in said.items():
        monkeypatch.setenv(f"ASKBACK_{name}", value)
    expected = Endpoint("there:1", "t", "ana", ("desk", "law"), Tls.from_files(*files.values()))
    assert Endpoint.resolve() == expected
    client, worker = Client(), Worker()
    assert (client._calls.endpoint, client.namespace) == (expected, "eu")
    assert (worker._endpoint, worker.namespace) == (expected, "eu")
    # Arguments override the environment, and so do an empty list of groups and `tls=False`.
    given = Endpoint.resolve("here:2", token="u", user="bo", groups=(), tls=False)
    assert given == Endpoint("here:2", "u", "bo")
    assert Client(namespace="").namespace == ""
    assert Client(expected, user="ignored")._calls.endpoint is expected


@pytest.mark.parametrize(
    ("text", "on"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("no", False), ("", False)]
)
def test_the_environment_turns_tls_on_or_off(text: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKBACK_TLS", text)
    assert Endpoint.resolve().tls == (Tls() if on else None)


def test_a_worker_copied_to_another_server_keeps_its_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("there:1", token="secret", worker_id="w", capacity=3)

    @worker.job("a")
    async def first(job: Any) -> None: ...

    other = worker.at("here:2", user="ana")

    @other.job("b")
    async def second(job: Any) -> None: ...

    assert other._endpoint == Endpoint("here:2", None, "ana")
    assert (other.worker_id, other.capacity, worker._endpoint.token) == ("w", 3, "secret")
    assert [handler.job_type for handler in other.jobs] == ["a", "b"]
    assert [handler.job_type for handler in worker.jobs] == ["a"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a new authority: `server` for 127.0.0.1, and `ana`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    folder = tmp_path_factory.mktemp("tls")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run(*new, "-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "ana"):
        run(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-days", "2")
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


async def connects(folder: Path, *, mutual: bool, client: Callable[[str], Client]) -> bool:
    """Whether a client can call a server over TLS."""

    async def get_job(request: jobs.GetJobRequest, context: Any) -> jobs.GetJobResponse:
        return jobs.GetJobResponse(job=job_pb2.Job(job_id=request.job_id))

    method = grpc.unary_unary_rpc_method_handler(
        get_job, jobs.GetJobRequest.FromString, jobs.GetJobResponse.SerializeToString
    )
    server = grpc.aio.server()
    handlers = grpc.method_handlers_generic_handler("askback.v1.JobService", {"GetJob": method})
    server.add_generic_rpc_handlers((handlers,))
    read = {p.name: p.read_bytes() for p in folder.iterdir()}
    credentials = grpc.ssl_server_credentials(
        [(read["server.key"], read["server.pem"])], read["ca.pem"] if mutual else None, mutual
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        async with client(f"127.0.0.1:{port}") as calling:
            return (await calling.get("j")).job_id == "j"
    except Unavailable:
        return False
    finally:
        await server.stop(0)


async def test_clients_connect_over_tls_and_mutual_tls(authority: Path) -> None:
    ca, cert, key = authority / "ca.pem", authority / "ana.pem", authority / "ana.key"

    def with_tls(tls: Tls | bool) -> Callable[[str], Client]:
        return lambda target: Client(target, tls=tls, deadline=3)

    assert await connects(authority, mutual=False, client=with_tls(Tls.from_files(ca)))
    assert not await connects(authority, mutual=False, client=with_tls(Tls.from_files()))
    assert await connects(authority, mutual=True, client=with_tls(Tls.from_files(ca, cert, key)))
    assert not await connects(authority, mutual=True, client=with_tls(Tls.from_files(ca)))


async def test_no_two_channels_share_a_connection() -> None:
    """Two channels that share one and check health can crash inside grpc when connecting at once."""

    async def whence(_: bytes, context: Any) -> bytes:
        return str(context.peer()).encode()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(whence)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Peer", {"Tell": handler}),))
    endpoint = Endpoint(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", user="ada")
    await server.start()
    try:
        async with endpoint.open() as one, endpoint.open() as another:
            peers = [await c.unary_unary("/test.Peer/Tell")(b"", timeout=10) for c in (one, another, one)]
    finally:
        await server.stop(None)
    assert peers[0] == peers[2]
    assert peers[0] != peers[1]
