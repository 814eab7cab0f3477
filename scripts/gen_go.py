"""Generate gen/go, the contract as a Go module, or check that it is up to date.

In: the .proto files and gen/go/buf.gen.yaml, which pins the plugins; with --check also the committed code.
Out: gen/go/askback/v1/*.go; with --check nothing is written, and exit status 1 with a list names the stale
files. Needs Go and, the first time, its module proxy. Without Go the script prints a line and does nothing;
with --check it exits with status 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = Path("gen/go")
PACKAGE = Path("askback/v1")


def generate(out: Path) -> None:
    """Write the package's code below `out`, a folder. Ends the program if buf or a plugin fails."""
    # buf is installed in the development environment, beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = ["buf", "generate", "protos", "--template", str(MODULE / "buf.gen.yaml"), "--output", str(out)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def contents(root: Path) -> dict[str, str]:
    """The generated files below `root`, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in (root / PACKAGE).glob("*.go")}


def main() -> None:
    """Generate the code; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the code is stale")
    check = parser.parse_args().check
    if shutil.which("go") is None:
        missing = f"go is not installed: {MODULE} stays as it is; CI checks that it is up to date"
        sys.exit(missing if check else print(missing))
    # Generate into an empty folder first, so that a failure leaves the old code untouched.
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, present = contents(Path(scratch)), contents(ROOT / MODULE)
    stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    if check and stale:
        names = "\n".join(f"  {MODULE / PACKAGE / name}" for name in stale)
        sys.exit(f"stale Go code, run `make proto` with Go installed:\n{names}")
    for name in [] if check else stale:
        target = ROOT / MODULE / PACKAGE / name
        if name in fresh:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(fresh[name], encoding="utf-8")
        else:
            target.unlink()
        print(MODULE / PACKAGE / name, "written" if name in fresh else "removed")


if __name__ == "__main__":
    main()
