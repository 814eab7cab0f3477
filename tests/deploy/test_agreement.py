"""The manifests, the image and the server say the same: settings, ports, paths, times, names."""

import re
import tomllib
from typing import Any

import pytest
from click.testing import CliRunner

from askback.cli import main
from askback_server.config.settings import SETTINGS
from askback_server.transport.server import LIVENESS
from tests.deploy.manifests import KUBERNETES, OVERLAYS, Manifests, build
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SERVING = ("production", "trial")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECONDS_FOR_THE_LAST_COMMITS = 10


@pytest.fixture(params=SERVING)
def serving(request: pytest.FixtureRequest) -> Manifests:
    """An overlay that runs the server."""
    return build(request.param)


@pytest.fixture(params=OVERLAYS)
def any_overlay(request: pytest.FixtureRequest) -> Manifests:
    """Any overlay."""
    return build(request.param)


def _environment(manifests: Manifests) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in manifests.container["env"]}


def test_every_setting_is_one(serving: Manifests) -> None:
    """Keys of askback.toml are settings, with values that they take."""
    for key, value in tomllib.loads(serving.settings).items():
        setting = SETTINGS[key]
        assert isinstance(value, int | float if setting.kind is float else setting.kind), key
        assert setting.takes(value), key


def test_every_variable_is_one(any_overlay: Manifests) -> None:
    for name in _environment(any_overlay):
        assert name in {setting.variable for setting in SETTINGS.values()}, name


def test_every_flag_is_one(any_overlay: Manifests) -> None:
    """The pod's command is one that the command line takes."""
    command, *arguments = any_overlay.container["args"]
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0, shown.output
    for flag in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"^\s+{flag}\b", shown.output, re.MULTILINE), flag


def test_the_server_takes_its_settings_from_the_file(serving: Manifests) -> None:
    """--config names the file that is mounted."""
    arguments = serving.container["args"]
    assert _mounted(serving)[arguments[arguments.index("--config") + 1]] == serving.settings


def _mounted(manifests: Manifests) -> dict[str, str | None]:
    """Path -> content, of files from secrets None."""
    volumes = {volume["name"]: volume for volume in manifests.pod["spec"]["volumes"]}
    documented = dict(re.findall(r"^\| `(askback-[a-z]+)` \| (.+?) \|", _readme(), re.MULTILINE))
    found: dict[str, str | None] = {}
    for mount in manifests.container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            data = manifests.one("ConfigMap", volume["configMap"]["name"])["data"]
            found |= {f"{mount['mountPath']}/{name}": text for name, text in data.items()}
        elif "secret" in volume:
            keys = re.findall(r"`([^`]+)`", documented[volume["secret"]["secretName"]])
            found |= {f"{mount['mountPath']}/{key}": None for key in keys}
    return found


def _readme() -> str:
    return (KUBERNETES / "README.md").read_text(encoding="utf-8")


def test_every_file_that_is_named_is_mounted(serving: Manifests) -> None:
    """Tokens and certificates come from secrets with the keys that the README tells to make."""
    named = {**tomllib.loads(serving.settings), **_environment(serving)}
    paths = [value for value in named.values() if isinstance(value, str) and value.startswith("/")]
    assert len(paths) == (3 if serving.name == "production" else 1)
    for path in paths:
        assert path in _mounted(serving), path


def test_secrets_are_only_referred_to(any_overlay: Manifests) -> None:
    """No Secret is made here, each that is meant stands in the README, and no URL holds a password."""
    assert not any_overlay.all("Secret")
    for entry in any_overlay.container["env"]:
        if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
            assert f"| `{reference['name']}` | `{reference['key']}` |" in _readme()
    assert "postgresql" not in str(any_overlay.objects)


def test_ports_agree(serving: Manifests) -> None:
    """Settings, container, probes, services, policy and annotations."""
    settings = tomllib.loads(serving.settings)
    listened = {
        name: int(settings[key].rpartition(":")[2])
        for name, key in {"grpc": "listen", "health": "health_listen", "metrics": "metrics_listen"}.items()
    }
    ports = {port["name"]: port["containerPort"] for port in serving.container["ports"]}
    assert ports == listened
    for probe, service in (
        ("startupProbe", {}),
        ("readinessProbe", {}),
        ("livenessProbe", {"service": LIVENESS}),
    ):
        assert serving.container[probe]["grpc"] == {"port": ports["health"], **service}
    for service in serving.all("Service"):
        assert [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]] == [(ports["grpc"], "grpc")]
    let_in = [
        port["port"] for rule in serving.one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    ]
    assert let_in == ["grpc", "metrics"]
    assert serving.pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    for name, port in ports.items():
        assert f"| {port} | `{name}` |" in _readme()


def test_a_pod_is_given_the_time_that_a_drain_takes(serving: Manifests) -> None:
    settings = tomllib.loads(serving.settings)
    drain = settings["drain_wait"] + settings["drain_grace"]
    given = serving.pod["spec"]["terminationGracePeriodSeconds"]
    assert given >= drain + SECONDS_FOR_THE_LAST_COMMITS
    readiness = serving.container["readinessProbe"]
    assert settings["drain_wait"] >= readiness["periodSeconds"] * readiness["failureThreshold"]
    assert f"`drain_wait` ({settings['drain_wait']} s)" in _readme()
    assert f"`drain_grace` ({settings['drain_grace']} s)" in _readme()
    assert f"`terminationGracePeriodSeconds` ({given})" in _readme()


def test_pods_may_do_as_little_as_the_image_needs(any_overlay: Manifests) -> None:
    """The image's own user, and nothing to gain."""
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    pod, container = any_overlay.pod["spec"], any_overlay.container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == tuple(
        map(int, user)
    )
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert any_overlay.container["resources"]["limits"]["memory"]


def test_selectors_meet_the_pods(serving: Manifests) -> None:
    """Services, budget, policy and spread are about the server's pods; services never reach the migration."""
    labels = serving.pod["metadata"]["labels"]
    selectors: list[dict[str, Any]] = [service["spec"]["selector"] for service in serving.all("Service")]
    selectors += [found["spec"]["selector"]["matchLabels"] for found in serving.all("PodDisruptionBudget")]
    spread = serving.pod["spec"]["topologySpreadConstraints"]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    selectors += [serving.one("Deployment")["spec"]["selector"]["matchLabels"]]
    assert len(selectors) == (6 if serving.name == "production" else 5)
    migration = build("production/migration").pod["metadata"]["labels"]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= migration.items()
    policy = serving.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items()
    assert policy <= labels.items()
    assert policy <= migration.items()


def test_clients_find_every_replica_by_name(serving: Manifests) -> None:
    """The headless service gives addresses, the other one address."""
    assert serving.one("Service", "askback-replicas")["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in serving.one("Service", "askback")["spec"]


def test_one_namespace_and_one_image(any_overlay: Manifests) -> None:
    """The service and its migration are of this version and meet in one namespace."""
    assert any_overlay.container["image"] == f"askback:{VERSION}"
    namespaces = {found["metadata"]["namespace"] for found in any_overlay.objects}
    assert namespaces == {"askback-trial" if any_overlay.name == "trial" else "askback"}


def test_only_one_process_writes_a_file(serving: Manifests) -> None:
    """SQLite has one replica, which ends before the next starts; PostgreSQL has more, and a budget."""
    deployment = serving.one("Deployment")["spec"]
    if _environment(serving)["ASKBACK_DB"].startswith("sqlite"):
        assert deployment["replicas"] == 1
        assert deployment["strategy"] == {"type": "Recreate"}
    else:
        assert deployment["replicas"] >= 2
        assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert serving.all("PodDisruptionBudget")
