"""An unmodified Connect client of npm against the gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import ROOT
from tests.support.requests import confirm
from tests.support.requirements import absent
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld

CLIENT = ROOT / "tests" / "web" / "connect"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client, its packages and code generated from the contract."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        absent("node", "node and npm are not installed")
    folder = tmp_path_factory.mktemp("connect")
    for name in ("package.json", "package-lock.json", ".npmrc", "calls.mjs"):
        shutil.copy(CLIENT / name, folder)
    install = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        absent("node", f"the packages cannot be installed: {done.stderr[-500:]}")
    generate = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'protos'}"),
        f"--plugin=protoc-gen-es={folder / 'node_modules/.bin/protoc-gen-es'}",
        *(f"--es_out={folder}", "--es_opt=target=js,import_extension=js"),
        *(str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto")),
    ]
    subprocess.run(generate, check=True)
    return folder


async def test_a_connect_client_of_the_web_works_unchanged(
    client: Path, web: WebWorld, lite: ServiceWorld
) -> None:
    prompt = await lite.create_prompt(confirm("Deploy?"))
    address = f"http://127.0.0.1:{web.port}"
    process = await asyncio.create_subprocess_exec(
        "node", "calls.mjs", address, prompt.prompt_id, str(client),
        cwd=client, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    assert seen["success"] == {"title": "Deploy?", "version": str(prompt.version), "type": "bigint"}
    assert seen["requestId"] is True
    assert seen["error"] == {
        "code": "Aborted",
        "message": "the prompt has changed since it was shown; show it again and ask again",
        "stale": True,
        "shown": prompt.prompt_id,
    }
    assert seen["timeout"] == "DeadlineExceeded"
    assert seen["large"] == {"code": "Aborted"}, "the version 2^53 + 1 is not the job's"
    assert seen["signIn"] == "Unauthenticated"
    assert seen["stream"] == "Unknown", (
        "of a refused stream the client reads the status alone, and 415 says so"
    )
