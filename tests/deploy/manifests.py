"""The manifests of deploy/kubernetes, built by kustomize."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT
from tests.support.requirements import absent

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("production", "production/migration", "trial")
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"  # the newest version that builds with Go 1.22


@lru_cache(maxsize=1)
def kustomize() -> str:
    """The path of kustomize: the installed one, or one built once beside this Python with Go."""
    beside = Path(sys.executable).parent
    if found := shutil.which("kustomize") or shutil.which("kustomize", path=str(beside)):
        return found
    if shutil.which("go") is None:
        absent("go", "neither kustomize nor a Go toolchain to build it with is installed")
    build = ["go", "install", KUSTOMIZE]
    done = subprocess.run(
        build, env={**os.environ, "GOBIN": str(beside)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        absent("go", f"kustomize cannot be built: {done.stderr[-2000:]}")
    return str(beside / "kustomize")


@dataclass(frozen=True)
class Manifests:
    """The objects of one overlay."""

    name: str
    objects: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind."""
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str = "") -> dict[str, Any]:
        """The only object of a kind, or the one with a name."""
        (found,) = (found for found in self.all(kind) if not name or found["metadata"]["name"] == name)
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The pod template of the Deployment or the Job."""
        workload: dict[str, Any] = (self.all("Deployment") + self.all("Job"))[0]["spec"]["template"]
        return workload

    @property
    def container(self) -> dict[str, Any]:
        """The pod's only container."""
        (container,) = self.pod["spec"]["containers"]
        return dict(container)

    @property
    def settings(self) -> str:
        """The text of askback.toml."""
        return str(self.one("ConfigMap")["data"]["askback.toml"])


@lru_cache
def build(overlay: str) -> Manifests:
    """Run kustomize. Raises AssertionError with its output."""
    folder = KUBERNETES / "overlays" / overlay
    done = subprocess.run([kustomize(), "build", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # kustomize warns about deprecated fields
    return Manifests(overlay, tuple(yaml.safe_load_all(done.stdout)))
