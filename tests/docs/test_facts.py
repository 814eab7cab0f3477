"""Facts that pages repeat agree with the program: errors, kinds, roles, figures."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from askback import Worker
from askback.v1.error_reason_pb2 import ErrorReason
from askback_server.bootstrap import MAX_MESSAGE_BYTES
from askback_server.config.settings import Config
from askback_server.domain.decisions import default_options
from askback_server.domain.limits import Limits
from askback_server.engine.sweep import MIN_TOKEN_AGE
from askback_server.storage.postgres_pools import POOL_SIZE, SESSIONS_POOL_SIZE
from scripts.reference import contract
from tests.docs.blocks import ROOT
from tests.integration.test_permissions import CALLS, ROLES

KINDS = ("clarify", "confirm", "preview", "validate", "deep_understanding", "structure_fix")


def text(page: str) -> str:
    return Path(ROOT, page).read_text(encoding="utf-8")


@pytest.mark.long
def test_the_reference_is_up_to_date() -> None:
    command = [sys.executable, "-m", "scripts.reference", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_has_its_section_with_its_code() -> None:
    """The page lists exactly the reasons of the contract, in its order, each with its status code."""
    page = text("docs/troubleshooting.md").partition("## Symptoms")[0]
    listed = dict(re.findall(r"^### (\w+)\n\n`(\w+)`", page, re.MULTILINE))
    [source] = [s for s in contract.sources() if s.proto.name.endswith("error_reason.proto")]
    [enum] = source.proto.enum_type
    defined = {}
    for number, value in enumerate(enum.value):
        if value.number:
            code = source.comment(5, 0, 2, number).partition(":")[0]
            defined[value.name.removeprefix("ERROR_REASON_")] = code
    assert len(defined) == len(ErrorReason.keys()) - 1
    assert list(listed.items()) == list(defined.items())


def test_the_decisions_of_each_kind_are_those_of_the_program() -> None:
    rows = {}
    for kind in KINDS:
        options = default_options(kind, has_form=True)
        assert options == default_options(kind, has_form=False) or kind in ("clarify", "deep_understanding")
        rows[f"`{kind}`"] = ", ".join(option.decision for option in options)
    rows["any other, with a form"] = ", ".join(o.decision for o in default_options("x", has_form=True))
    rows["any other, without"] = ", ".join(o.decision for o in default_options("x", has_form=False))
    table = re.findall(r"^\| (.+?) \| ([A-Z, ]+) \|", text("docs/concepts.md"), re.MULTILINE)
    assert {name: decisions for name, decisions in table if name in rows} == rows


def test_the_roles_of_the_reference_are_those_that_the_server_enforces() -> None:
    """The comments of the contract, from which the table is generated, agree with tests/integration."""
    for source in contract.sources():
        for number, service in enumerate(source.proto.service):
            documented = contract.roles(source.comment(6, number))
            for method in service.method:
                words = set(re.findall(r"\w+", documented.get(method.name) or documented["*"]))
                enforced = {
                    role for name, call in CALLS.items() if name.split()[0] == method.name for role in call[0]
                }
                # The two bidirectional streams have separate tests. An admin may call what no other role may.
                assert words & set(ROLES) == (enforced or {"admin"}) or method.client_streaming, method.name


def figures() -> list[tuple[str, str]]:
    """Pages with the phrases that they must contain, built from the values of the program."""
    limits, serve, worker = Limits(), Config(), Worker()
    floors = {d.partition(">=")[0]: d.partition(">=")[2] for d in project()["dependencies"]}
    days = {name: getattr(limits, name).days for name in ("retention_default", "deadline_max")}
    claim = limits.claim_default.total_seconds() / 60
    grace = limits.cancel_grace.total_seconds()
    attempts, keys = limits.default_attempts, limits.open_prompts_per_job
    return [
        ("docs/concepts.md", f"{limits.json_bytes // 1024} KiB for one JSON text"),
        ("docs/concepts.md", f"{limits.content_bytes // 1024} KiB for a prompt"),
        ("docs/concepts.md", f"{keys} open prompts in a job"),
        ("docs/concepts.md", f"{MAX_MESSAGE_BYTES // 1024**2} MiB for a message"),
        ("docs/concepts.md", f"a deadline of at most {days['deadline_max']} days"),
        ("docs/concepts.md", f"an ended job is kept, {days['retention_default']} days"),
        ("docs/concepts.md", f"`--lease-ttl` seconds ({serve.lease_ttl:g})"),
        ("docs/concepts.md", f"`max_attempts` ({attempts})"),
        ("docs/concepts.md", f"`park_after` seconds ({worker.park_after:g})"),
        ("docs/concepts.md", f"for {claim:g} minutes or for another time"),
        ("docs/concepts.md", {7: "for seven days at least"}[MIN_TOKEN_AGE.days]),
        ("docs/how-to/worker-author.md", f"up to {keys} open prompts"),
        ("docs/how-to/worker-author.md", f"attempts are left ({attempts}, unless"),
        ("docs/how-to/worker-author.md", f"has {grace:g} seconds to clean up"),
        ("docs/how-to/worker-author.md", f"up to `drain_timeout` seconds ({worker.drain_timeout:g})"),
        ("docs/how-to/worker-author.md", f"jobs run at once ({worker.capacity})"),
        ("docs/how-to/job-author.md", f"the worker has {grace:g} seconds to stop"),
        ("docs/how-to/job-author.md", f"up to {limits.labels} names and values"),
        ("docs/how-to/operator.md", f"up to {POOL_SIZE + SESSIONS_POOL_SIZE + 3} connections"),
        ("docs/from-the-prototype.md", f"(`--sweep-interval`, {serve.sweep_interval:g})"),
        ("docs/troubleshooting.md", f"the claim ends ({claim:g} minutes"),
        ("docs/upgrades.md", f"needs grpcio {floors['grpcio']} and protobuf {floors['protobuf']} or newer"),
    ]


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
    return found


def test_pages_give_the_figures_of_the_program() -> None:
    wrong = [(page, words) for page, words in figures() if words not in " ".join(text(page).split())]
    assert wrong == []
