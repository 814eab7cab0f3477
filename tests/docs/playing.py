"""Plays a page: runs its blocks in order, as if a reader typed all of them in.

A page has a folder, a server on a free port that `ASKBACK_SERVER` names, one Python namespace and one
shell. The language of a fence decides what happens to the block:

    python               runs in the page's namespace; may await
    python title="x.py"  is written to that file; a later block must run it
    sh                   runs in the page's shell; every command must succeed
    console              the same, command by command; their output is compared, `…` matches anything
    toml title="…"       is parsed, written to that file, and read by the loader of its name
    json                 is parsed; with a title it is written to that file
    text, mermaid, diff  are not run; nginx, haproxy, envoy run in tests/integration/test_proxies.py

`norun="reason"` keeps a block from running. `needs="tool"` runs it where the tool is installed, and
`needs="module:flask"` where Python finds the module.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.docs.blocks import ROOT, Block
from tests.docs.shell import WITHIN, Shell, commands_of, matches

Loader = Callable[[Path], Any]
NO_CODE = frozenset({"text", "mermaid", "diff", "nginx", "haproxy", "envoy"})


class Playing:
    """The state of one page while its blocks run."""

    def __init__(self, folder: Path, environment: Mapping[str, str], loaders: Mapping[str, Loader]) -> None:
        self.folder = folder
        self.left_out: list[str] = []
        """Blocks that were not run, and why."""
        self._loaders = loaders
        self._shell = Shell(folder, environment)
        self._namespace: dict[str, Any] = {"__name__": "page"}
        self._programs: dict[str, Block] = {}

    async def play(self, blocks: list[Block]) -> None:
        """Run the blocks. A note names page and line on each error that a block raises."""
        try:
            for block in blocks:
                try:
                    await self._block(block)
                except Exception as error:
                    error.add_note(f"in the {block.language} block at {block.where}")
                    raise
            if self._programs:
                never = ", ".join(f"{name} ({block.where})" for name, block in self._programs.items())
                raise AssertionError(f"no block runs {never}")
        finally:
            await self._shell.end()

    async def _block(self, block: Block) -> None:
        if reason := block.attributes.get("norun"):
            self.left_out.append(f"{block.where}: {reason}")
            return
        tool = block.attributes.get("needs", "")
        if tool and not _is_installed(tool):
            assert tool not in os.environ.get("ASKBACK_REQUIRE", "").split(","), f"{tool} is not installed"
            self.left_out.append(f"{block.where}: {tool} is not installed")
            return
        if block.language in NO_CODE:
            return
        run = getattr(self, f"_{block.language}", None)
        assert run is not None, f"no rule runs {block.language!r} blocks: see tests/docs/playing.py"
        await run(block)

    async def _python(self, block: Block) -> None:
        # Empty lines in front: the line numbers of a traceback are those of the page.
        source = "\n" * (block.line - 1) + block.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(ROOT / block.page), "exec", flags=flags, dont_inherit=True)
        if block.title:
            self._write(block)
            self._programs[block.title] = block
            return
        done = eval(code, self._namespace)
        if inspect.iscoroutine(done):
            async with asyncio.timeout(WITHIN):
                await done

    async def _sh(self, block: Block) -> None:
        self._mark_as_run(block.text)
        await self._shell.run(block.text)

    async def _console(self, block: Block) -> None:
        for command, expected in commands_of(block.text):
            self._mark_as_run(command)
            printed = await self._shell.run(command)
            assert matches(expected, printed), f"$ {command}\nexpected:\n{expected}\n\nprinted:\n{printed}"

    async def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        assert block.title, "a toml block needs a title that says which file it is"
        load = self._loaders.get(block.title)
        assert load is not None, f"no loader reads {block.title}; there are {', '.join(self._loaders)}"
        load(self._write(block))

    async def _json(self, block: Block) -> None:
        json.loads(block.text)
        if block.title:
            self._write(block)

    async def _csv(self, block: Block) -> None:
        self._write(block)

    def _write(self, block: Block) -> Path:
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return path

    def _mark_as_run(self, commands: str) -> None:
        """Note the programs that the commands name. `pytest` runs all files `test_….py`."""
        tests = re.search(r"\bpytest\b", commands) is not None
        for name in [n for n in self._programs if n in commands or (tests and n.startswith("test_"))]:
            del self._programs[name]


def _is_installed(tool: str) -> bool:
    kind, _, module = tool.partition(":")
    return importlib.util.find_spec(module) is not None if kind == "module" else bool(shutil.which(tool))
