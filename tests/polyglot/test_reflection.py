"""The API through a generic gRPC client and server reflection: without stubs or .proto files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.processes import Processes, Server

BUF = Path(sys.executable).parent / "buf"


def call(server: Server, method: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run `buf curl` like in the README. Returns the exit code and the output."""
    done = subprocess.run(
        [
            str(BUF),
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            "-H",
            "askback-user: ana",
            "-d",
            json.dumps(request),
            f"http://{server.target}/askback.v1.{method}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, json.loads(done.stdout or done.stderr)


async def test_buf_curl_creates_lists_and_answers_a_prompt(processes: Processes, sqlite_url: str) -> None:
    """With a refused and an accepted answer."""
    server = await processes.server(sqlite_url)
    code, created = call(
        server,
        "JobService/CreateJob",
        {"jobType": "deploy", "prompt": {"kind": "confirm", "title": "Deploy 1.4?"}},
    )
    assert code == 0
    code, listed = call(server, "HitlService/ListPrompts", {})
    assert code == 0
    (prompt,) = listed["prompts"]
    assert prompt["content"]["title"] == "Deploy 1.4?"
    answer = {"promptId": prompt["promptId"], "answerId": "a-1", "revision": prompt["revision"]}
    code, refused = call(server, "HitlService/AnswerPrompt", {**answer, "decision": "DECISION_REVISE"})
    assert code != 0
    assert refused["code"] == "invalid_argument"
    assert {"google.rpc.ErrorInfo", "google.rpc.BadRequest", "askback.v1.AnswerResult"} == {
        detail["type"] for detail in refused["details"]
    }
    answer["answerId"] = "a-2"
    code, accepted = call(server, "HitlService/AnswerPrompt", {**answer, "decision": "DECISION_ACCEPT"})
    assert code == 0
    assert accepted["result"]["status"] == "ANSWER_STATUS_ACCEPTED"
    code, ended = call(server, "JobService/GetJob", {"jobId": created["job"]["jobId"]})
    assert code == 0
    assert ended["job"]["state"] == "JOB_STATE_COMPLETED"
