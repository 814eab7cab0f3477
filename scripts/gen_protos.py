"""Generate client/askback/v1 from protos/askback/v1, or check that it is up to date.

In: the .proto files; with --check also the committed code. Out: messages and services in Python with
their .pyi files; with --check nothing is written, and exit status 1 with a list names the stale files.

The path of the protos equals that of the package (`protos/askback/v1` is `askback.v1`), so the generated
imports need no rewriting.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
CLIENT = ROOT / "client"
PACKAGE = Path("askback/v1")
INIT = '"""The contract as Python: code generated from protos/askback/v1 by `make proto`. Do not edit."""\n'


def generate(out: Path) -> None:
    """Compile every proto file of the package into `out`, a folder to import from."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / PACKAGE).glob("*.proto"))
    if not sources:
        sys.exit(f"no .proto files in {(PROTOS / PACKAGE).relative_to(ROOT)}")
    package = out / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    # protoc looks for the mypy-protobuf plugins on PATH; they are installed beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}"]
    command += [f"--python_out={out}", f"--grpc_python_out={out}"]
    command += [f"--mypy_out=quiet:{out}", f"--mypy_grpc_out=quiet:{out}"]
    done = subprocess.run([*command, *sources], cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    (package / "__init__.py").write_text(INIT, encoding="utf-8")


def contents(root: Path) -> dict[str, bytes]:
    """The generated files below `root`, by relative path."""
    files = (path for path in (root / PACKAGE).glob("*") if path.suffix in {".py", ".pyi"})
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    """Generate the code; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the code is stale")
    check = parser.parse_args().check
    # Generate into an empty folder first, so that a failure leaves the old code untouched.
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, present = contents(Path(scratch)), contents(CLIENT)
    stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    if check and stale:
        sys.exit(
            "stale generated code, run `make proto`:\n" + "\n".join(f"  client/{name}" for name in stale)
        )
    for name in [] if check else stale:
        target = CLIENT / name
        if name in fresh:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(fresh[name])
        else:
            target.unlink()
        print(f"client/{name}", "written" if name in fresh else "removed")


if __name__ == "__main__":
    main()
