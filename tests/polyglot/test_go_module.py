"""gen/go: the generated Go module, which must match the .proto files and their `go_package`."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.polyglot.build import ROOT, Example, need

MODULE = ROOT / "gen" / "go"


def test_the_import_path_of_go_package_resolves() -> None:
    """Module, folder and package are those in each .proto file. Needs no Go."""
    [module] = re.findall(r"^module (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    for proto in (ROOT / "protos").rglob("*.proto"):
        [(path, package)] = re.findall(r'^option go_package = "(.+);(.+)";$', proto.read_text(), re.MULTILINE)
        assert path.startswith(f"{module}/")
        made = MODULE / path.removeprefix(f"{module}/") / f"{proto.stem}.pb.go"
        assert f"\npackage {package}\n" in made.read_text(), made


def test_the_go_module_is_up_to_date() -> None:
    need("go", "go")
    command = [sys.executable, str(ROOT / "scripts" / "gen_go.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_go_module_compiles_and_is_tidy(go: Example) -> None:
    """In a copy outside the repository."""
    module = Example("go", go.folder.parents[2] / "gen" / "go")
    module.run("go", "vet", "./...")
    module.run("go", "mod", "tidy", "-diff")
