"""The pods of deploy/kubernetes, run in the image with their command, variables, files and user."""

import asyncio
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from askback._wire.channel import Tls
from tests.container.conftest import Image
from tests.container.container import Container
from tests.container.test_image import ENTRY, TOKEN
from tests.container.visit import ask_and_answer
from tests.deploy.manifests import Manifests, build
from tests.support.authority import Authority
from tests.support.processes import Processes, quiet_port

pytestmark = pytest.mark.timeout(600)
AUTHORITY = Authority()


def _secrets(folder: Path) -> dict[str, Path]:
    """The secrets that the README describes, by name, as folders like those of a kubelet."""
    folders = {name: folder / name for name in ("askback-tokens", "askback-tls")}
    for secret in folders.values():
        secret.mkdir()
    (folders["askback-tokens"] / "tokens.toml").write_text(ENTRY)
    AUTHORITY.server().put(folders["askback-tls"])
    return folders


def _mounts(manifests: Manifests, folder: Path) -> dict[Path, str]:
    """The pod's volumes with the mount paths of its container."""
    secrets = _secrets(folder)
    volumes = {volume["name"]: volume for volume in manifests.pod["spec"]["volumes"]}
    mounts: dict[Path, str] = {}
    for mount in manifests.container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            source = folder / mount["name"]
            source.mkdir()
            for name, text in manifests.one("ConfigMap", volume["configMap"]["name"])["data"].items():
                (source / name).write_text(text)
        else:
            source = secrets[volume["secret"]["secretName"]]
        mounts[source] = mount["mountPath"]
    return mounts


def _variables(manifests: Manifests, secrets: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The container's environment, with references resolved."""
    found = {}
    for entry in manifests.container["env"]:
        source = entry.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[entry["name"]] = secrets[source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]]
        elif "fieldRef" in source:
            found[entry["name"]] = "askback-6d9f-x2x4z"
        else:
            found[entry["name"]] = entry["value"]
    return found


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_production_pods_migrate_serve_and_drain(
    image: Image, processes: Processes, db_url: str, tmp_path: Path
) -> None:
    """Run the migration's pod, then the server's: probes, metrics, a prompt answered over TLS, drain.

    As in the manifests, except for free ports and a shorter drain.
    """
    secrets = {("askback-database", "url"): db_url}
    migration, production = build("production/migration"), build("production")
    job = Container(processes, image.root, image.config, {})
    migrate = job.start("migrate", *migration.container["args"], environment=_variables(migration, secrets))
    assert await migrate.wait_for_end() == 0, migrate.story()

    ports = {name: quiet_port() for name in ("listen", "health_listen", "metrics_listen")}
    here = {f"ASKBACK_{name.upper()}": f"127.0.0.1:{port}" for name, port in ports.items()}
    variables = {
        **_variables(production, secrets),
        **here,
        "ASKBACK_DRAIN_WAIT": "0",
        "ASKBACK_DRAIN_GRACE": "2",
    }
    pod = Container(processes, image.root, image.config, _mounts(production, tmp_path))
    server = pod.start("server", *production.container["args"], environment=variables)
    await pod.wait_until_ready(server)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        await _probe(ports["health_listen"], production.container[probe]["grpc"].get("service", ""))
    done = await ask_and_answer(f"127.0.0.1:{ports['listen']}", TOKEN, Tls(AUTHORITY.pem))
    assert done["result"] == "ana: True"
    path = production.pod["metadata"]["annotations"]["prometheus.io/path"]
    metrics = await asyncio.to_thread(_read, f"http://127.0.0.1:{ports['metrics_listen']}{path}")
    assert "askback_ready 1" in metrics
    assert '"askback-6d9f-x2x4z"' in server.log  # the replica has the name of its pod
    assert await pod.stop(server) == 0, server.story()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as page:
        text: str = page.read().decode()
    return text


async def _probe(port: int, service: str) -> None:
    """Probe like the kubelet: a new connection, no TLS, no token."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
