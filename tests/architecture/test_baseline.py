"""The contract and the SDK offer all that version 0.1.0 offers (tests/baseline)."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import ROOT
from tests.baseline import PROTOS, SDK
from tests.baseline.public_sdk import Surface, breaks, describe

BASELINE: Surface = json.loads(SDK.read_text(encoding="utf-8"))


def buf_breaking(protos: Path) -> subprocess.CompletedProcess[str]:
    buf = Path(sys.executable).with_name("buf")
    command = [str(buf), "breaking", str(protos), "--against", str(PROTOS)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_contract_only_adds_to_the_baseline() -> None:
    done = buf_breaking(ROOT / "protos")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_removed_field_of_the_contract_is_found(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    shutil.copytree(ROOT / "protos", protos)
    file = protos / "askback" / "v1" / "job.proto"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("  string job_id ="))
    file.write_text("".join([*lines[:at], *lines[at + 1 :]]), encoding="utf-8")
    assert buf_breaking(protos).returncode != 0


def test_the_sdk_only_adds_to_the_baseline() -> None:
    assert list(breaks(BASELINE, describe())) == []


def parameter(surface: Surface, path: str, name: str) -> dict[str, Any]:
    return next(p for p in surface[path]["parameters"] if p["name"] == name)


def remove_name(surface: Surface) -> None:
    del surface["askback.Client.start"]


def remove_parameter(surface: Surface) -> None:
    found = surface["askback.Client.start"]["parameters"]
    found.remove(parameter(surface, "askback.Client.start", "priority"))


def require_parameter(surface: Surface) -> None:
    parameter(surface, "askback.Client.start", "priority")["required"] = True


def add_required_parameter(surface: Surface) -> None:
    found = surface["askback.Client.start"]["parameters"]
    found.append({"name": "new", "kind": "KEYWORD_ONLY", "required": True})


def make_keyword_only(surface: Surface) -> None:
    parameter(surface, "askback.Client.start", "job_type")["kind"] = "KEYWORD_ONLY"


def swap_positions(surface: Surface) -> None:
    surface["askback.Content"]["parameters"].reverse()


def change_enum_value(surface: Surface) -> None:
    surface["askback.JobState.RUNNING"]["value"] = "RUNS"


def make_it_async(surface: Surface) -> None:
    surface["askback.sync.Client.start"]["kind"] = "coroutine function"


def remove_base(surface: Surface) -> None:
    surface["askback.PromptClaimed"]["bases"].remove("FailedPrecondition")


@pytest.mark.parametrize(
    "change",
    [
        remove_name,
        remove_parameter,
        require_parameter,
        add_required_parameter,
        make_keyword_only,
        swap_positions,
        change_enum_value,
        make_it_async,
        remove_base,
    ],
)
def test_a_breaking_change_of_the_sdk_is_found(change: Callable[[Surface], None]) -> None:
    changed = copy.deepcopy(BASELINE)
    change(changed)
    assert len(list(breaks(BASELINE, changed))) == 1


def test_additions_to_the_sdk_break_nothing() -> None:
    changed = copy.deepcopy(BASELINE)
    changed["askback.Client.new"] = {"kind": "function", "parameters": []}
    changed["askback.Client.start"]["parameters"].append(
        {"name": "new", "kind": "KEYWORD_ONLY", "required": False}
    )
    assert list(breaks(BASELINE, changed)) == []
