"""The audit of a server that was killed is whole, and verified beside the running server."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askback import Client
from tests.support.processes import Processes, eventually

Audit = Callable[..., tuple[int, str]]


@pytest.fixture
def audit(forked_commands: Path) -> Audit:
    """Runs `askback audit`. Returns its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        command = [str(forked_commands / "askback"), "audit", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


async def test_a_killed_servers_audit_is_verified_with_its_keys_and_without_it(
    tmp_path: Path, processes: Processes, audit: Audit
) -> None:
    keys, public, file = tmp_path / "keys.json", tmp_path / "public.json", tmp_path / "a.db"
    assert audit("new-key", str(keys))[0] == 0
    db = f"sqlite+aiosqlite:///{file}"
    server = await processes.server(db, signing_keys=str(keys), sweep_interval=0.2)
    async with Client(server.target) as client:
        first = await client.ask("Ship it?")
        await server.crash_and_serve()
        await client.ask("Ship it again?")
        verified: dict[str, Any] = {}

        def has_checkpoint() -> bool:
            code, text = audit("verify", "--namespace", "default", "--db", db, "--keys", str(keys), "--json")
            assert code == 0, text
            verified.update(json.loads(text))
            return bool(verified["checkpoints"])

        await eventually(has_checkpoint, "a checkpoint is made")
    assert verified["unsigned"] == 0
    public.write_text(audit("public-keys", str(keys))[1])
    assert '"d"' not in public.read_text()
    assert audit("new-key", str(keys))[0] == 0  # the older key stays
    kept = tmp_path / "statement"
    kept.write_text(verified["last_statement"])
    common = ["verify", "--namespace", "default", "--db", db]
    for name in (public, keys):
        code, text = audit(*common, "--keys", str(name), "--expect", str(kept))
        assert (code, text.splitlines()[0].endswith(": ok")) == (0, True), text
    audit("new-key", str(tmp_path / "other.json"))
    code, text = audit(*common, "--keys", str(tmp_path / "other.json"))
    assert code == 5
    assert "which is not in the file" in text
    server.kill()
    with sqlite3.connect(file) as connection:
        connection.execute(
            "UPDATE job_events SET actor = 'eve' WHERE job_id = ? AND seq = 2", (first.job_id,)
        )
    code, text = audit("verify", first.job_id, "--db", db)
    assert code == 5
    assert f"job_events ({first.job_id}, seq 2)" in text
    assert audit("verify", "01a22cb0-1219-7373-a8e6-651bcbed0ee9", "--db", db)[0] == 3
    assert audit("verify")[0] == 2
    empty = tmp_path / "empty"
    empty.write_text("")
    assert audit(*common, "--expect", str(empty))[0] == 2
    assert audit("new-key", str(tmp_path / "no folder" / "keys.json"))[0] == 1
