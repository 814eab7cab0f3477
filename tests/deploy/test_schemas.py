"""Every object is valid by Kubernetes' schemas, which refuse unknown fields."""

import copy
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.manifests import OVERLAYS, build

pytestmark = pytest.mark.timeout(600)
VERSIONS = ("1.29", kubernetes_validate.latest_version())
"""The oldest version in the README, and the newest with a schema."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid_by_the_kubernetes_schema(overlay: str, version: str) -> None:
    """No unknown field, no wrong type, no missing required field."""
    objects = build(overlay).objects
    assert objects
    for found in objects:
        kubernetes_validate.validate(found, version, strict=True)


def _misspelt(pod: dict[str, Any]) -> None:
    context = pod["containers"][0]["securityContext"]
    context["readOnlyRootFileSystem"] = context.pop("readOnlyRootFilesystem")


def _of_wrong_type(pod: dict[str, Any]) -> None:
    pod["containers"][0]["readinessProbe"]["grpc"]["port"] = "health"


def _incomplete(pod: dict[str, Any]) -> None:
    (database,) = (entry for entry in pod["containers"][0]["env"] if entry["name"] == "ASKBACK_DB")
    del database["valueFrom"]["secretKeyRef"]["key"]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (_misspelt, "readOnlyRootFileSystem"),
        (_of_wrong_type, "integer"),
        (_incomplete, "'key' is a required"),
    ],
)
def test_the_schemas_refuse_a_broken_deployment(
    break_it: Callable[[dict[str, Any]], None], says: str
) -> None:
    """A misspelt field, a wrong type, a missing field."""
    deployment = copy.deepcopy(build("production").one("Deployment"))
    break_it(deployment["spec"]["template"]["spec"])
    for version in VERSIONS:
        with pytest.raises(kubernetes_validate.ValidationError, match=says):
            kubernetes_validate.validate(deployment, version, strict=True)
