"""gen/go: the contract as the Go module that `go_package` names, in step with the .proto files."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.polyglot.build import ROOT, Example, need

MODULE = ROOT / "gen" / "go"


def test_the_import_path_of_go_package_resolves() -> None:
    """Without Go: module, folder and package are those that each .proto file names."""
    [module] = re.findall(r"^module (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    for proto in (ROOT / "protos").rglob("*.proto"):
        [(path, package)] = re.findall(r'^option go_package = "(.+);(.+)";$', proto.read_text(), re.MULTILINE)
        assert path.startswith(f"{module}/")
        made = MODULE / path.removeprefix(f"{module}/") / f"{proto.stem}.pb.go"
        assert f"\npackage {package}\n" in made.read_text(), made


def test_it_is_in_step_with_the_contract() -> None:
    need("go", "go")
    command = [sys.executable, str(ROOT / "scripts" / "gen_go.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_compiles_and_asks_for_what_it_uses(go: Example) -> None:
    """In a copy, as a program of its own finds it."""
    module = Example("go", go.folder.parents[2] / "gen" / "go")
    module.run("go", "vet", "./...")
    module.run("go", "mod", "tidy", "-diff")
