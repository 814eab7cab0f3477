"""`make install-figures`: packages, size and time of an installation, and start-up times.

Downloads are the sizes of the wheels. Times are those of pip with local wheels, so that they do not depend
on the network.
"""

import argparse
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests.install.start_up import BARE, measure, programs
from tests.install.wheelhouse import EXTRAS, Environment, Wheelhouse

MB = 1e6


def main() -> None:
    """Measure and print; with `--json` also write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.install", description="Measure the install.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each start-up [default: 9]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _figures(Path(folder), options.rounds)
    _print(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _figures(folder: Path, rounds: int) -> dict[str, Any]:
    wheelhouse = Wheelhouse(folder)
    installs: list[dict[str, Any]] = []
    start_up: dict[str, float] = {}
    for extra in ("", *EXTRAS):
        environment = Environment(folder / f"venv-{extra}", wheelhouse)
        seconds = environment.install(wheelhouse.requirement(*filter(None, [extra])))
        installs.append(
            {
                "install": f"askback[{extra}]" if extra else "askback",
                "packages": len(environment.packages()),
                "download_bytes": _download(wheelhouse, environment),
                "disk_bytes": environment.bytes(),
                "seconds": round(seconds, 2),
            }
        )
        if not extra:
            start_up = measure(programs(environment.python, environment.askback), rounds)
        environment.remove()
    return {
        "python": sys.version.split()[0],
        "wheel_bytes": wheelhouse.wheel.stat().st_size,
        "wheel_files": len(zipfile.ZipFile(wheelhouse.wheel).namelist()),
        "sdist_bytes": wheelhouse.sdist.stat().st_size,
        "installs": installs,
        "start_up": [
            {"program": name, "ms": round(seconds * 1000, 1), "ratio": round(seconds / start_up[BARE], 2)}
            for name, seconds in start_up.items()
        ],
    }


def _download(wheelhouse: Wheelhouse, environment: Environment) -> int:
    wheels = {path.name.partition("-")[0].lower(): path for path in wheelhouse.folder.glob("*.whl")}
    names = (name.replace("-", "_") for name in environment.packages())
    return sum(wheels.get(name, wheelhouse.wheel).stat().st_size for name in names)


def _print(figures: dict[str, Any]) -> None:
    print(f"Python {figures['python']}")
    print(f"wheel {figures['wheel_bytes'] / MB:.2f} MB, {figures['wheel_files']} files; ", end="")
    print(f"sdist {figures['sdist_bytes'] / MB:.2f} MB\n")
    print(f"{'pip install':<20}{'packages':>9}{'download':>11}{'on disk':>11}{'time':>9}")
    for row in figures["installs"]:
        download, disk = row["download_bytes"] / MB, row["disk_bytes"] / MB
        print(f"{row['install']:<20}{row['packages']:>9}{download:>8.1f} MB", end="")
        print(f"{disk:>8.1f} MB{row['seconds']:>7.1f} s")
    print(f"\n{'start':<28}{'median':>9}{'ratio':>8}")
    for row in figures["start_up"]:
        print(f"{row['program']:<28}{row['ms']:>6.0f} ms{row['ratio']:>7.1f}x")


if __name__ == "__main__":
    main()
