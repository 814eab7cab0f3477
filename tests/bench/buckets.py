"""Samples of a server's Python threads, by stack, and the buckets of the code that they are in."""

from __future__ import annotations

import linecache
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BUCKETS = {
    "rules": "decisions of the domain: `domain/`",
    "conversion": "messages from and to values: `transport/convert/`, `transport/frames*`, `transport/wire`",
    "engine": "command queue, groups, hot jobs, dispatch, feed: `engine/`, `feed/`, `ports/`",
    "storage": "rows and SQL, with the database's driver: `storage/`",
    "streams": "sessions, views, outboxes: `sessions/` and the rest of `transport/`",
    "gRPC": "gRPC, event loop and sockets: all without a frame of Askback, and reads and writes of streams",
}
_PARTS = (
    ("domain/", "rules"),
    ("transport/convert/", "conversion"),
    ("transport/frames", "conversion"),
    ("transport/wire", "conversion"),
    ("engine/", "engine"),
    ("feed/", "engine"),
    ("ports/", "engine"),
    ("storage/", "storage"),
    ("sessions/", "streams"),
    ("transport/", "streams"),
)
_DRIVERS = ("/aiosqlite/", "/asyncpg/", "/sqlalchemy/", "/concurrent/futures/")
"""Packages that run the code of storage, or wait for its work, where no frame of Askback is below them."""
_PACKAGE = "askback_server/"
_FRAME = re.compile(r"(.+) \((.+):(\d+)\)")
_THREAD = re.compile(r"thread \((\w+)\): (.*)")
_GRPC = re.compile(r"\b(context|_context)\.(write|read)\(")
"""A line that calls gRPC. Its C code has no frames of its own."""
_SHORT = re.compile(r"(?:site-packages|python3\.\d+)/(.+)")

NO_PYTHON = "threads without Python"

Stack = tuple[str, ...]
"""Frames from the outermost to the innermost, as `function (file:line)`."""


@dataclass(frozen=True)
class Samples:
    """Samples of each thread."""

    stacks: Mapping[int, Counter[Stack]]
    """Numbers of samples by the thread's id at the operating system."""
    names: Mapping[int, str]


def read_samples(text: str) -> Samples:
    """Samples in the raw format of py-spy with threads."""
    stacks: defaultdict[int, Counter[Stack]] = defaultdict(Counter)
    names: dict[int, str] = {}
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        head, *frames = stack.split(";")
        thread = _THREAD.match(head)
        if thread is not None and frames:
            number = int(thread[1], 0)
            names[number] = thread[2]
            stacks[number][tuple(frames)] += int(count)
    return Samples(stacks, names)


def bucket_of(stack: Sequence[str]) -> str:
    """The bucket of the innermost frame of Askback or of a database's driver. What that frame calls of other
    packages counts for it."""
    for at, frame in enumerate(reversed(stack)):
        found = _FRAME.match(frame)
        if found is None:
            continue
        if bucket := _bucket_of_file(found[2]):
            calls_grpc = at == 0 and _GRPC.search(linecache.getline(found[2], int(found[3])))
            return "gRPC" if calls_grpc else bucket
        if any(driver in found[2] for driver in _DRIVERS):
            return "storage"
    return "gRPC"


def _bucket_of_file(path: str) -> str | None:
    """None for other packages, and for what has no part, such as the program that runs the event loop."""
    _, is_ours, module = path.rpartition(_PACKAGE)
    return next((bucket for start, bucket in _PARTS if is_ours and module.startswith(start)), None)


def weigh(samples: Samples, used: Mapping[int, float]) -> dict[Stack, float]:
    """What each stack used, with the thread as its outermost frame.

    `used` is what each thread used (CPU, instructions): it is shared among the samples of the thread. Threads
    without samples run no Python.
    """
    found: defaultdict[Stack, float] = defaultdict(float)
    for thread, amount in used.items():
        stacks = samples.stacks.get(thread)
        if not stacks:
            found[(NO_PYTHON,)] += amount
            continue
        name = samples.names[thread]
        for stack, count in stacks.items():
            found[(name, *stack)] += amount * count / stacks.total()
    return dict(found)


def by_bucket(weights: Mapping[Stack, float]) -> dict[str, float]:
    """The sum of each bucket."""
    found = dict.fromkeys(BUCKETS, 0.0)
    for stack, weight in weights.items():
        found[bucket_of(stack)] += weight
    return found


def by_function(weights: Mapping[Stack, float]) -> dict[tuple[str, str], float]:
    """The own time of each function, by its bucket and short name. Functions of other packages count for the
    function of Askback that calls them."""
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for stack, weight in weights.items():
        frames = [(frame, _FRAME.match(frame)) for frame in stack]
        ours = [frame for frame, match in frames if match is not None and _bucket_of_file(match[2])]
        name = short(ours[-1] if ours else stack[-1])
        found[bucket_of(stack), name.rpartition(":")[0] + ")" if ":" in name else name] += weight
    return dict(found)


def short(frame: str) -> str:
    """A frame without the path before its package."""
    found = _FRAME.match(frame)
    if found is None:
        return frame
    path = found[2]
    if _PACKAGE in path:
        path = path.rpartition(_PACKAGE)[2]
    elif inside := _SHORT.search(path):
        path = inside[1]
    else:
        path = Path(path).name
    return f"{found[1]} ({path}:{found[3]})"
