"""Which open prompts nobody is there for, by what the consoles of all replicas look at.

The question is asked for every prompt, so it is answered from memory: an index of the consoles here and,
a moment later, elsewhere. What it says when a prompt is asked is part of that very write. When people
come or go the prompts concerned are looked at again, by commands like everything else. Presence is a
hint: a mark may be some seconds late, in either direction.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from askback_server.domain.commands import ReviewPresence
from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.engine.engine import Engine
from askback_server.engine.periodic import every
from askback_server.ports.clock import uuid7
from askback_server.ports.presence import PresenceStore
from askback_server.ports.queries import PromptFilter

log = logging.getLogger(__name__)

LINGER = 10.0
"""Seconds for which somebody who has gone is not missed: a console that reconnects was there. For as
long after its start a replica misses nobody, for consoles must find it first."""
TURN = 2.0
"""Seconds between two looks at the consoles of other replicas."""
TTL = 15.0
"""Seconds after which a replica that says nothing has no consoles any more."""
PAGE = 100
"""Prompts looked at in one go when people came or went, with a pause after each."""
PAUSE = 0.05
MOST_GONE = 1_000
"""Prompts looked at when somebody has gone: the most urgent of the namespace."""


def document(view: PromptFilter) -> str:
    """A console's view as text: equal views are one."""
    viewer = view.viewer
    assert viewer is not None
    return json.dumps(
        [
            view.namespace,
            viewer.subject,
            sorted(viewer.groups),
            sorted(view.job_types),
            sorted(view.kinds),
            _label_pairs(view),
            sorted(view.groups),
            view.job_id,
        ]
    )


def view_of(text: str) -> PromptFilter:
    """The view of a document. Its viewer sees what is addressed to it, whatever its roles."""
    namespace, subject, groups, job_types, kinds, labels, asked, job_id = json.loads(text)
    viewer = Principal(subject, frozenset({Role.CONSOLE}), (namespace,), frozenset(groups))
    each = {name: value for name, value in labels if isinstance(value, str)}
    several = {name: tuple(values) for name, values in labels if not isinstance(values, str)}
    return PromptFilter(
        namespace, viewer, tuple(job_types), tuple(kinds), each, tuple(asked), job_id, any_labels=several
    )


def _label_pairs(view: PromptFilter) -> list[tuple[str, str | list[str]]]:
    """The labels of a view: a text where one value is wanted, a list where one of several is.

    In one list, so that a replica of the version before reads the document too.
    """
    several = sorted((name, sorted(values)) for name, values in view.any_labels.items())
    return [*sorted(view.labels.items()), *several]


class PresenceIndex:
    """Views of consoles, counted, and found by whom a prompt is addressed to.

    Until `settle` is called every prompt counts as attended: after a start, consoles need time to connect.
    """

    def __init__(self) -> None:
        self._settled = False
        self._count: Counter[str] = Counter()
        self._by: dict[tuple[str, str, str], dict[str, PromptFilter]] = {}

    def __len__(self) -> int:
        return len(self._count)

    def add(self, text: str) -> str:
        """Count a view. The namespace if it is a new one, else empty."""
        self._count[text] += 1
        if self._count[text] > 1:
            return ""
        view = view_of(text)
        for place in _places(view):
            self._by.setdefault(place, {})[text] = view
        return view.namespace

    def discard(self, text: str) -> str:
        """Count a view no more. The namespace if it was the last like it, else empty."""
        self._count[text] -= 1
        if self._count[text] > 0:
            return ""
        del self._count[text]
        view = view_of(text)
        for place in _places(view):
            self._by[place].pop(text, None)
            if not self._by[place]:
                del self._by[place]
        return view.namespace

    @property
    def is_settled(self) -> bool:
        """Whether prompts can count as unattended."""
        return self._settled

    def settle(self) -> None:
        """From now on a prompt that no console shows to a reviewer counts as unattended."""
        self._settled = True

    def is_attended(self, prompt: Prompt) -> bool:
        """Whether a console here or at another replica shows the prompt to one of its reviewers."""
        return not self._settled or self.has(prompt)

    def has(self, prompt: Prompt) -> bool:
        """Whether one of the views shows the prompt to somebody it is addressed to.

        An admin sees every prompt, and is nobody's audience for that: whoever is asked by name or
        group is not there because somebody looks after the service.
        """
        audience, namespace = prompt.content.audience, prompt.namespace
        places = [(namespace, "user", user) for user in audience.users]
        places += [(namespace, "group", group) for group in audience.groups]
        if not places:
            places = [(namespace, "any", "")]
        return any(view.matches(prompt) for p in places for view in self._by.get(p, {}).values())


def _places(view: PromptFilter) -> Iterable[tuple[str, str, str]]:
    assert view.viewer is not None
    yield view.namespace, "any", ""
    yield view.namespace, "user", view.viewer.subject
    for group in view.viewer.groups:
        yield view.namespace, "group", group


class PresenceTracker:
    """Keeps the index, tells the other replicas, and has prompts looked at again."""

    def __init__(self, store: PresenceStore, engine: Engine, index: PresenceIndex) -> None:
        """The engine asks `index` when it decides, so the index is made before both."""
        self._store = store
        self._engine = engine
        self._id = uuid7()
        self._index = index
        self._mine: Counter[str] = Counter()
        self._version = 0
        self._published = 0
        self._others: dict[str, tuple[int, Sequence[str]]] = {}
        self._came: set[str] = set()
        self._gone: set[str] = set()
        """Namespaces whose prompts are to be looked at again."""
        self._changed = asyncio.Event()
        self._seen: set[str] = set()
        """Namespaces of prompts asked while nobody was missed."""

    def committed(self, batch: Sequence[Committed]) -> None:
        """Note where prompts were asked before anybody could be missed, and where somebody came or went
        while this replica wrote what it knew before: the look that this caused may have been too early."""
        if not self._index.is_settled:
            self._seen.update(item.job.namespace for item in batch if item.job.open_prompts)
            return
        for item in batch:
            for prompt in item.prompts if item.events else ():
                marked = prompt.unattended_since is not None
                if prompt.is_open and self._index.has(prompt) is marked:
                    self._note(item.job.namespace, self._came if marked else self._gone)

    def enter(self, view: PromptFilter) -> Callable[[], None]:
        """A console is there. Returns what to call when its stream has ended."""
        text = document(view)
        self._mine[text] += 1
        self._note(self._index.add(text), self._came, own=True)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                asyncio.get_running_loop().call_later(LINGER, self._leave, text)

        return leave

    def _leave(self, text: str) -> None:
        self._mine[text] -= 1
        if not self._mine[text]:
            del self._mine[text]
        self._note(self._index.discard(text), self._gone, own=True)

    def _note(self, namespace: str, where: set[str], *, own: bool = False) -> None:
        if own:
            self._version += 1
        if namespace:
            where.add(namespace)
            self._changed.set()

    async def run(self) -> None:
        """Tell, hear and look until cancelled."""
        ready = asyncio.get_running_loop().call_later(LINGER, self._settle)
        try:
            await every(0.0, self._turn, "presence")
        finally:
            ready.cancel()

    def _settle(self) -> None:
        self._index.settle()
        self._gone |= self._seen
        self._seen.clear()
        self._changed.set()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(TURN):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        try:
            await self.exchange()
        except BaseException:
            await asyncio.sleep(TURN)  # the database is away: do not spin
            raise
        await self.review()

    async def exchange(self) -> None:
        """Tell the other replicas of the consoles here, and hear of theirs. Raises StorageUnavailable."""
        version = self._version
        if version != self._published or not await self._store.extend(self._id, TTL):
            await self._store.publish(self._id, version, tuple(self._mine), TTL)
            self._published = version
        versions = {i: v for i, v in (await self._store.versions()).items() if i != self._id}
        news = [i for i, v in versions.items() if self._others.get(i, (-1, ()))[0] != v]
        found = await self._store.views(news) if news else {}
        gone = [i for i in self._others if i not in versions]
        for replica_id in (*found, *gone):
            _, before = self._others.pop(replica_id, (0, ()))
            if replica_id in found:
                self._others[replica_id] = found[replica_id]
            now = found[replica_id][1] if replica_id in found else ()
            # Those that stay are added first: they are never gone in between.
            for text in now:
                self._note(self._index.add(text), self._came)
            for text in before:
                self._note(self._index.discard(text), self._gone)

    async def review(self) -> None:
        """Look at the prompts of namespaces where somebody came or went. Raises StorageUnavailable."""
        while self._came:
            namespace = self._came.pop()
            after = ""
            while marked := await self._store.unattended(namespace, after, PAGE):
                await self._look_at(p for p in marked if self._index.is_attended(p))
                after = marked[-1].prompt_id
        while self._gone and self._index.is_settled:
            namespace = self._gone.pop()
            open_prompts = await self._store.attended(namespace, MOST_GONE)
            missed = [p for p in open_prompts if not self._index.is_attended(p)]
            for at in range(0, len(missed), PAGE):
                await self._look_at(missed[at : at + PAGE])

    async def _look_at(self, prompts: Iterable[Prompt]) -> None:
        jobs = sorted({p.job_id for p in prompts})
        done = await asyncio.gather(
            *(self._engine.execute(ReviewPresence(job_id=job_id)) for job_id in jobs),
            return_exceptions=True,
        )
        for job_id, error in zip(jobs, done, strict=True):
            if isinstance(error, AskbackError):
                log.warning("prompts of job %s were not looked at: %s", job_id, error)
            elif isinstance(error, BaseException):
                raise error
        await asyncio.sleep(PAUSE if jobs else 0)
