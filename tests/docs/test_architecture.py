"""docs/architecture.md describes the program as it is: files, functions, the order of calls, tasks."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from askback.v1 import job_service_pb2, worker_service_pb2
from tests.docs.blocks import ROOT, blocks_of
from tests.support.requests import ACCEPT, answer, confirm
from tests.support.service import serving

PAGE = "docs/architecture.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SERVER = ROOT / "server" / "askback_server"
_STEP = re.compile(r"^\| (\d+) \| (`[^|]+`) \| (`[^|]+`) \|", re.MULTILINE)
_RULE = re.compile(r"^\| [^|`]*(?:`\w+`)?[^|`]* \| `([\w/]+\.py)` \| `([\w.]+)` \|$", re.MULTILINE)
_TASK = re.compile(r"^\| `(askback-[a-z-]+)` \| `([\w/]+\.py)` \|", re.MULTILINE)
_PATH = re.compile(r"`((?:domain|ports|engine|feed|sessions|storage|transport|metrics|config)/[\w/*]+\.py)`")
_BOTH_DATABASES = 14
"""The step that has a file for each database; the path is walked on SQLite, the first of them."""


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


STEPS = [
    (int(number), path, function)
    for number, paths, functions in _STEP.findall(TEXT)
    for path, function in zip(names(paths), names(functions), strict=True)
]


def functions_of(path: Path) -> set[str]:
    """The functions of a file by name; methods with their class and a dot."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in tree.body if isinstance(node, kinds)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, kinds)}
    return found


def imports_of(folder: str) -> set[str]:
    """The other folders of the server that a folder's modules import."""
    found: set[str] = set()
    for path in (SERVER / folder).rglob("*.py"):
        found |= set(
            re.findall(r"^\s*from askback_server\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    return {name for name in found if (SERVER / name).is_dir()} - {folder}


def reachable(arrows: set[tuple[str, str]], start: str) -> set[str]:
    """Everything that can be reached from a folder along the arrows."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {end for begin, end in arrows if begin == here} - found
        found |= new
        waiting += new
    return found


class FirstCalls:
    """Records in which order functions of the server are entered for the first time."""

    def __init__(self) -> None:
        self.order: dict[tuple[str, str], int] = {}
        self._on = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record this thread, and threads that started `within_threads`."""
        before = sys.getprofile()
        sys.setprofile(self._profile)
        self._on = True
        try:
            yield
        finally:
            self._on = False
            sys.setprofile(before)

    @contextmanager
    def within_threads(self) -> Iterator[None]:
        """Let threads that start in this context be recorded, such as SQLite's writer."""
        threading.setprofile(self._profile)
        try:
            yield
        finally:
            threading.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if self._on and event == "call":
            code = frame.f_code
            path = Path(code.co_filename)
            if path.is_relative_to(SERVER):
                called = (path.relative_to(SERVER).as_posix(), code.co_qualname)
                self.order.setdefault(called, len(self.order))


def test_the_picture_of_the_layers_shows_the_imports() -> None:
    """Each arrow is an import; each import is an arrow or a chain of arrows."""
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", TEXT, re.MULTILINE))
    folders = {path.parent.name for path in SERVER.glob("*/__init__.py")}
    assert {begin for begin, _ in drawn} | {end for _, end in drawn} == folders | {"root"}
    imports = {folder: imports_of(folder) for folder in folders}
    assert [arrow for arrow in drawn if arrow[0] != "root" and arrow[1] not in imports[arrow[0]]] == []
    undrawn = {folder: imports[folder] - reachable(drawn, folder) for folder in folders}
    assert {folder: names for folder, names in undrawn.items() if names} == {}
    assert reachable(drawn, "root") == folders


def test_the_page_lists_the_packages_of_the_client() -> None:
    client = ROOT / "client" / "askback"
    table = TEXT.partition("| package of `client/askback/` |")[2].partition("\n\n")[0]
    listed = set(names("".join(row.split("|")[1] for row in table.splitlines() if row.startswith("|"))))
    existing = {f"{path.parent.name}/" for path in client.glob("*/__init__.py")} | {
        path.name for path in client.glob("*.py")
    }
    assert listed == existing - {"v1/", "__init__.py"}


def test_the_functions_that_decide_a_rule_exist() -> None:
    section = TEXT.partition("\n## Where a rule is\n")[2].partition("\n## ")[0]
    rules = _RULE.findall(section)
    assert len(rules) == section.count("\n| ") - 1  # all rows but the header
    client = ROOT / "client" / "askback"
    folders = [(client if path.startswith("_") else SERVER) / path for path, _ in rules]
    missing = [rule for rule, path in zip(rules, folders, strict=True) if rule[1] not in functions_of(path)]
    assert missing == []


def test_the_files_and_functions_of_an_answer_exist() -> None:
    numbers = list(dict.fromkeys(number for number, *_ in STEPS))
    assert numbers == [*range(1, len(numbers) + 1)]
    assert len(numbers) >= 20
    missing = [f"{path}: {name}" for _, path, name in STEPS if name not in functions_of(SERVER / path)]
    assert missing == []


async def test_an_answer_runs_through_the_files_in_the_order_of_the_page(
    migrated_file: Path, tmp_path: Path
) -> None:
    """The first call of each function that the page lists, while an answer travels to its worker."""
    database = tmp_path / "askback.db"
    database.write_bytes(migrated_file.read_bytes())
    calls = FirstCalls()
    with calls.within_threads():
        async with serving(f"sqlite+aiosqlite:///{database}") as world:
            worker = world.worker()
            await worker.hello("refund")
            await world.jobs.CreateJob(job_service_pb2.CreateJobRequest(job_type="refund"))
            leased = await worker.next_job()
            ask = worker_service_pb2.AskPromptRequest(
                job_id=leased.job.job_id, token=leased.token, key="pay", content=confirm()
            )
            prompt = (await worker.ask(ask_prompt=ask)).prompt
            # The writer of the stream goes on after its reply has arrived: else its late step came first.
            await world.job(leased.job.job_id)
            with calls.recording():
                await world.hitl.AnswerPrompt(answer(prompt, "yes", ACCEPT))
                await worker.expect("prompt_resolved")
            await worker.aclose()
    listed = []
    for number, path, name in STEPS:
        if path.startswith("ports/") or (number == _BOTH_DATABASES and "sqlite" not in path):
            continue  # a protocol, and the other database
        assert (path, name) in calls.order, f"step {number}: {path} {name} is not called"
        listed.append((calls.order[path, name], f"{number} {path} {name}"))
    assert listed == sorted(listed)


async def test_the_page_lists_the_tasks_of_a_replica(migrated_file: Path, tmp_path: Path) -> None:
    database = tmp_path / "askback.db"
    database.write_bytes(migrated_file.read_bytes())
    listed = dict(_TASK.findall(TEXT))
    async with serving(f"sqlite+aiosqlite:///{database}"):
        running = {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("askback-")}
    assert set(listed) == running
    assert [path for path in listed.values() if not (SERVER / path).is_file()] == []


def test_the_paths_of_the_page_exist() -> None:
    paths = set(_PATH.findall(TEXT))
    assert len(paths) > 40
    assert [path for path in sorted(paths) if not list(SERVER.glob(path))] == []


def test_the_diff_of_the_worked_example_applies() -> None:
    """If it does not, the code around it has changed: update the diff of the page."""
    [diff] = [block.text for block in blocks_of(PAGE, TEXT) if block.language == "diff"]
    done = subprocess.run(
        ["git", "apply", "--check", "-C1", "-"],
        input=diff,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
