"""What the pages say that the program knows better: errors, kinds, roles."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from askback.v1.error_reason_pb2 import ErrorReason
from askback_server.domain.decisions import default_options
from scripts.reference import contract
from tests.docs.blocks import ROOT
from tests.integration.test_permissions import CALLS, ROLES

KINDS = ("clarify", "confirm", "preview", "validate", "deep_understanding", "structure_fix")


def text(page: str) -> str:
    return Path(ROOT, page).read_text(encoding="utf-8")


def test_the_reference_is_up_to_date() -> None:
    command = [sys.executable, "-m", "scripts.reference", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_has_its_section_with_its_code() -> None:
    """Each reason of the contract, and no other, in the contract's order and with its code."""
    page = text("docs/troubleshooting.md").partition("## Symptoms")[0]
    told = dict(re.findall(r"^### (\w+)\n\n`(\w+)`", page, re.MULTILINE))
    [source] = [s for s in contract.sources() if s.proto.name.endswith("error_reason.proto")]
    [enum] = source.proto.enum_type
    known = {}
    for number, value in enumerate(enum.value):
        if value.number:
            code = source.comment(5, 0, 2, number).partition(":")[0]
            known[value.name.removeprefix("ERROR_REASON_")] = code
    assert len(known) == len(ErrorReason.keys()) - 1
    assert list(told.items()) == list(known.items())


def test_the_kinds_are_those_of_the_rules() -> None:
    rows = {}
    for kind in KINDS:
        options = default_options(kind, has_form=True)
        assert options == default_options(kind, has_form=False) or kind in ("clarify", "deep_understanding")
        rows[f"`{kind}`"] = ", ".join(option.decision for option in options)
    rows["any other, with a form"] = ", ".join(o.decision for o in default_options("x", has_form=True))
    rows["any other, without"] = ", ".join(o.decision for o in default_options("x", has_form=False))
    table = re.findall(r"^\| (.+?) \| ([A-Z, ]+) \|", text("docs/concepts.md"), re.MULTILINE)
    assert {name: decisions for name, decisions in table if name in rows} == rows


def test_the_roles_of_the_reference_are_those_that_are_enforced() -> None:
    """The table that is generated from comments says what tests/integration enforces call by call."""
    for source in contract.sources():
        for number, service in enumerate(source.proto.service):
            told = contract.roles(source.comment(6, number))
            for method in service.method:
                words = set(re.findall(r"\w+", told.get(method.name) or told["*"]))
                enforced = {
                    role for name, call in CALLS.items() if name.split()[0] == method.name for role in call[0]
                }
                # The two bidirectional streams have tests of their own.
                assert words & set(ROLES) == enforced or method.client_streaming, method.name
