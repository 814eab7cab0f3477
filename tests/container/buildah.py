"""Build images without an engine or a registry: with Debian's buildah, on a base made by debootstrap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

BASE = "localhost/askback-base"
IMAGE = "localhost/askback"
TOOLS = ("buildah", "debootstrap", "unshare", "nsenter", "setpriv")


def missing_requirement() -> str:
    """The reason why no image can be built here; empty if it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "building an image needs root"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"building an image needs {', '.join(missing)}: apt-get install buildah debootstrap"
    return ""


def mirror() -> tuple[str, str]:
    """This machine's package mirror and release, from apt."""
    command = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    release = _os_release()["VERSION_CODENAME"]
    sites = [site for site, _, suite in (line.partition(" ") for line in lines) if suite == release]
    if not sites:
        raise RuntimeError(f"apt knows no mirror of {release}: apt-get update")
    return sites[0], release


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


class Buildah:
    """buildah with its own store, which `close()` removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seconds: dict[str, float] = {}
        """The duration of each timed step."""

    def __call__(self, *arguments: str, timed: str = "") -> str:
        """Run buildah. Returns its output; raises AssertionError with all output if it fails."""
        places = ["--root", str(self._folder / "store"), "--runroot", str(self._folder / "run")]
        return self._run("buildah", "--storage-driver", "vfs", *places, *arguments, timed=timed)

    def _run(self, *command: str, timed: str = "") -> str:
        start = time.monotonic()
        done = subprocess.run(
            command,
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        if timed:
            self.seconds[timed] = time.monotonic() - start
        return done.stdout

    def make_base(self) -> None:
        """Make a minimal base image of this machine's release, with Python."""
        site, release = mirror()
        root = self._folder / "base"
        include = "--include=ca-certificates,python3,python3-venv"
        self._run("debootstrap", "--variant=minbase", include, release, str(root), site, timed="debootstrap")
        for waste in (
            "var/cache/apt",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
        ):
            shutil.rmtree(root / waste, ignore_errors=True)
        container = self("from", "scratch").strip()
        self("copy", "--quiet", container, str(root), "/")
        self("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def build(self, *options: str) -> None:
        """Build the Dockerfile of this checkout on the base, with this machine's pip settings."""
        self(
            "build",
            "--pull-never",
            "--format",
            "docker",
            "--build-arg",
            f"BASE_IMAGE={BASE}",
            *self._pip_secrets(),
            *options,
            "--tag",
            IMAGE,
            str(ROOT),
            timed="build",
        )

    def _pip_secrets(self) -> list[str]:
        """This machine's pip settings as build secrets: the index and its CA."""
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
        )
        settings: dict[str, str] = {}
        for line in listed.stdout.splitlines():
            key, _, value = line.partition("=")
            settings[key.rpartition(".")[2]] = value.strip("'")
        options: list[str] = []
        if certificates := settings.pop("cert", None):
            options += ["--secret", f"id=ca,src={certificates}"]
            settings["cert"] = "/run/secrets/ca"
        settings.pop("find-links", None)  # folders of this machine do not exist in the build
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self._folder / "pip.conf").write_text(f"[global]\n{lines}", encoding="utf-8")
        return ["--secret", f"id=pip,src={self._folder / 'pip.conf'}", *options]

    def config(self, image: str = IMAGE) -> dict[str, Any]:
        """The image's run configuration."""
        config: dict[str, Any] = json.loads(self("inspect", "--type", "image", image))["Docker"]["config"]
        return config

    def sizes(self, image: str) -> int:
        """The unpacked size of an image in bytes."""
        container = self("from", "--pull-never", image).strip()
        root = self("mount", container).strip()
        try:
            du = subprocess.run(
                ["du", "-s", "--bytes", "-x", root], capture_output=True, text=True, check=True
            )
            return int(du.stdout.split()[0])
        finally:
            self("rm", container)

    def mount(self, image: str = IMAGE) -> Path:
        """Mount a new container's root file system."""
        return Path(self("mount", self("from", "--pull-never", image).strip()).strip())

    def close(self) -> None:
        """Unmount and remove all containers and images."""
        self("rm", "--all")
        self("rmi", "--all", "--force")
