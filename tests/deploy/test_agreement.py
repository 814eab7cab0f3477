"""The manifests, the image and the server agree: settings, ports, paths, times, names."""

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

pytestmark = pytest.mark.timeout(600)
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


def test_each_key_of_askback_toml_is_a_setting_with_a_valid_value(serving: Manifests) -> None:
    for key, value in tomllib.loads(serving.settings).items():
        setting = SETTINGS[key]
        assert isinstance(value, int | float if setting.kind is float else setting.kind), key
        assert setting.allows(value), key


def test_each_environment_variable_is_that_of_a_setting(any_overlay: Manifests) -> None:
    for name in _environment(any_overlay):
        assert name in {setting.variable for setting in SETTINGS.values()}, name


def test_each_flag_of_the_command_exists(any_overlay: Manifests) -> None:
    """The pod runs a command with options that the command line has."""
    command, *arguments = any_overlay.container["args"]
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0, shown.output
    for flag in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"^\s+{flag}\b", shown.output, re.MULTILINE), flag


def test_the_server_reads_the_mounted_settings_file(serving: Manifests) -> None:
    """`--config` is the path of the mounted file."""
    arguments = serving.container["args"]
    assert _files_by_path(serving)[arguments[arguments.index("--config") + 1]] == serving.settings


def _files_by_path(manifests: Manifests) -> dict[str, str | None]:
    """The content of each mounted file by path; None for files from secrets."""
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


def test_each_file_named_in_the_settings_is_mounted(serving: Manifests) -> None:
    """Tokens and certificates come from secrets with the keys that the README describes."""
    named = {**tomllib.loads(serving.settings), **_environment(serving)}
    paths = [value for value in named.values() if isinstance(value, str) and value.startswith("/")]
    assert len(paths) == (3 if serving.name == "production" else 1)
    for path in paths:
        assert path in _files_by_path(serving), path


def test_manifests_contain_no_secrets_but_only_documented_references(any_overlay: Manifests) -> None:
    """No Secret object, each reference is in the README, and no URL contains a password."""
    assert not any_overlay.all("Secret")
    for entry in any_overlay.container["env"]:
        if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
            assert f"| `{reference['name']}` | `{reference['key']}` |" in _readme()
    assert "postgresql" not in str(any_overlay.objects)


def test_settings_probes_services_and_policies_use_the_same_ports(serving: Manifests) -> None:
    settings = tomllib.loads(serving.settings)
    listening = {
        name: int(settings[key].rpartition(":")[2])
        for name, key in {"grpc": "listen", "health": "health_listen", "metrics": "metrics_listen"}.items()
    }
    ports = {port["name"]: port["containerPort"] for port in serving.container["ports"]}
    assert ports == listening
    for probe, service in (
        ("startupProbe", {}),
        ("readinessProbe", {}),
        ("livenessProbe", {"service": LIVENESS}),
    ):
        assert serving.container[probe]["grpc"] == {"port": ports["health"], **service}
    for service in serving.all("Service"):
        assert [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]] == [(ports["grpc"], "grpc")]
    allowed = [
        port["port"] for rule in serving.one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    ]
    assert allowed == ["grpc", "metrics"]
    assert serving.pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    for name, port in ports.items():
        assert f"| {port} | `{name}` |" in _readme()


def test_the_termination_grace_period_covers_the_drain(serving: Manifests) -> None:
    settings = tomllib.loads(serving.settings)
    drain = settings["drain_wait"] + settings["drain_grace"]
    given = serving.pod["spec"]["terminationGracePeriodSeconds"]
    assert given >= drain + SECONDS_FOR_THE_LAST_COMMITS
    readiness = serving.container["readinessProbe"]
    assert settings["drain_wait"] >= readiness["periodSeconds"] * readiness["failureThreshold"]
    assert f"`drain_wait` ({settings['drain_wait']} s)" in _readme()
    assert f"`drain_grace` ({settings['drain_grace']} s)" in _readme()
    assert f"`terminationGracePeriodSeconds` ({given})" in _readme()


def test_pods_run_unprivileged_as_the_image_s_user(any_overlay: Manifests) -> None:
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


def test_selectors_match_the_server_s_pods_and_services_not_the_migration(serving: Manifests) -> None:
    """Services, disruption budget, network policy and topology spread select the server's pods."""
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


def test_one_service_is_headless_so_that_clients_find_every_replica(serving: Manifests) -> None:
    """The headless service resolves to all addresses, the other one to a single address."""
    assert serving.one("Service", "askback-replicas")["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in serving.one("Service", "askback")["spec"]


def test_all_objects_use_one_namespace_and_this_version_s_image(any_overlay: Manifests) -> None:
    assert any_overlay.container["image"] == f"askback:{VERSION}"
    namespaces = {found["metadata"]["namespace"] for found in any_overlay.objects}
    assert namespaces == {"askback-trial" if any_overlay.name == "trial" else "askback"}


def test_a_sqlite_deployment_has_one_replica_and_a_postgresql_one_several(serving: Manifests) -> None:
    """With SQLite the old replica ends before the next starts; PostgreSQL has a disruption budget."""
    deployment = serving.one("Deployment")["spec"]
    if _environment(serving)["ASKBACK_DB"].startswith("sqlite"):
        assert deployment["replicas"] == 1
        assert deployment["strategy"] == {"type": "Recreate"}
    else:
        assert deployment["replicas"] >= 2
        assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert serving.all("PodDisruptionBudget")
