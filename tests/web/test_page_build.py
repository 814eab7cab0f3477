"""The page is built the same way everywhere, without inline script or style, and within its size."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.web_build import contents
from tests.support.page_packages import page_source

pytestmark = pytest.mark.long
PACKAGES = ("@esbuild", "@preact", "diff", "esbuild", "highlight.js", "marked", "preact")
"""What a build needs: the compiler and the packages of the page."""


@pytest.fixture(scope="module")
def source() -> Path:
    """client/web with its packages."""
    return page_source()


def build(source: Path, out: Path) -> str:
    done = subprocess.run(
        ["node", str(source / "build.mjs"), str(out)],
        cwd=out.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build. `make check` compares the committed one with such a build."""
    out = tmp_path_factory.mktemp("page") / "built"
    build(source, out)
    return out


def copy_of(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
    for name in PACKAGES:
        shutil.copytree(source / "node_modules" / name, target / "node_modules" / name, symlinks=True)
    return target


def test_a_build_from_another_folder_has_the_same_bytes(source: Path, built: Path, tmp_path: Path) -> None:
    build(copy_of(source, tmp_path / "elsewhere"), tmp_path / "built")
    one, two = contents(built), contents(tmp_path / "built")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_a_style_that_no_browser_can_read_is_not_built(source: Path, tmp_path: Path) -> None:
    copy = copy_of(source, tmp_path / "copy")
    with (copy / "src/styles/queue.css").open("a") as style:
        style.write(".queue {\n<<<<<<< one\n  gap: 1px;\n=======\n  gap: 2px;\n>>>>>>> other\n}\n")
    with pytest.raises(AssertionError, match="esbuild has warned"):
        build(copy, tmp_path / "built")


def test_a_page_that_is_too_large_is_not_built(source: Path, tmp_path: Path) -> None:
    copy = copy_of(source, tmp_path / "copy")
    # Hashes do not compress.
    noise = subprocess.run(["openssl", "rand", "-base64", "120000"], capture_output=True, check=True).stdout
    text = noise.decode().replace("\n", "")
    main = copy / "src/main.tsx"
    main.write_text(f'{main.read_text(encoding="utf-8")}\nconsole.log("{text}");\n', encoding="utf-8")
    done = subprocess.run(
        ["node", str(copy / "build.mjs"), str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "more than 90.0 kB" in done.stderr


def test_the_build_says_what_each_dependency_takes(source: Path, tmp_path: Path) -> None:
    said = build(source, tmp_path / "out")
    assert re.search(r"^minified +first paint +later$", said, re.MULTILINE)
    assert re.search(r"^preact +\d+\.\d kB", said, re.MULTILINE)
    assert re.search(r"first paint \d+\.\d kB gzip \(goal 60.0 kB, limit 90.0 kB\)", said)


def test_the_shell_has_no_inline_script_or_style_and_names_files_that_exist(built: Path) -> None:
    shell = (built / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", shell)
    assert all(not text.strip() for text in re.findall(r"<script[^>]*>(.*?)</script>", shell, re.DOTALL))
    assert "http" not in shell, "no request leaves the host"
    version = re.search(r'<meta name="askback-page" content="([0-9a-f]{16})">', shell)
    assert version is not None
    named = re.findall(r'(?:src|href)="/assets/([\w.-]+)\?v=([0-9a-f]+)"', shell)
    assert {name for name, _ in named} >= {"app.js", "app.css"}
    for name, found in named:
        assert found == version[1]
        assert (built / name).is_file()


def test_the_scripts_import_each_other_in_the_version_of_the_shell(built: Path) -> None:
    """Otherwise an old chunk from the browser's cache would meet a new one."""
    shell = (built / "index.html").read_text(encoding="utf-8")
    version = re.findall(r'content="([0-9a-f]{16})"', shell)
    for path in built.glob("*.js"):
        for name, found in re.findall(
            r'"\./([\w.-]+\.js)(?:\?v=([0-9a-f]+))?"', path.read_text(encoding="utf-8")
        ):
            assert (built / name).is_file(), f"{path.name} imports {name}"
            assert [found] == version, f"{path.name} imports {name}"


def test_every_package_of_the_page_has_its_licence(built: Path) -> None:
    text = (built / "licences.txt").read_text(encoding="utf-8")
    for name in ("preact", "@preact/signals-core"):
        assert re.search(rf"^{name} \d+\.\d+\.\d+ \(MIT\)$", text, re.MULTILINE), name
    assert "Permission is hereby granted" in text
