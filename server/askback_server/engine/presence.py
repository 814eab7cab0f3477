"""Tracks which open prompts have a reviewer present, by the views of the consoles at all replicas.

The protocol. A prompt counts as attended while some console shows it to one of its reviewers. Each replica
publishes the views of its consoles in one row with a time to live, and reads the rows of the others every
`INTERVAL_SECONDS`. The rules ask for every prompt whether it is attended, so the answer comes from an index
in memory, and is written with the very command that asks the prompt. When consoles come or leave, the
affected prompts are reviewed by commands (`ReviewPresence`).

Presence is a hint: the mark of a prompt may be some seconds late in either direction. A console that leaves
counts for `LINGER_SECONDS` more, so that a reconnect marks nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from askback_server.domain.commands import ReviewPresence
from askback_server.domain.errors import AskbackError
from askback_server.domain.prompts import Prompt
from askback_server.engine.arrivals import Arrivals
from askback_server.engine.committed import Committed
from askback_server.engine.engine import Engine
from askback_server.engine.periodic import every
from askback_server.engine.view_texts import decode_view, encode_view, of_reviewer
from askback_server.ports.announcements import Announcement
from askback_server.ports.clock import uuid7
from askback_server.ports.presence import PresenceStore
from askback_server.ports.queries import PromptFilter

_log = logging.getLogger("askback.server.engine")

LINGER_SECONDS = 10.0
"""Seconds for which a console that left still counts as present: it may reconnect. For as long after its own
start a replica marks nothing, because consoles must find it first."""
INTERVAL_SECONDS = 2.0
"""Seconds between two exchanges with the other replicas."""
TTL_SECONDS = 15.0
"""Seconds after which the consoles of a silent replica are ignored."""
PAGE_SIZE = 100
"""Prompts reviewed at once, with a pause after each page."""
PAUSE_SECONDS = 0.05
REST_RATIO = 4.0
"""Ratio of rest to the duration of a review, which bounds its share of the database. Consoles that come
meanwhile are reviewed together."""
MAX_REVIEWED = 1_000
"""Maximum number of prompts reviewed when a console has left: the most urgent of the namespace."""


class PresenceIndex:
    """The views of consoles, counted, and indexed by the audience they can see.

    Until `settle` is called every prompt counts as attended: after a start, consoles need time to connect.
    """

    def __init__(self) -> None:
        self._settled = False
        self._count: Counter[str] = Counter()
        self._by_audience: dict[tuple[str, str, str], dict[str, PromptFilter]] = {}

    def __len__(self) -> int:
        return len(self._count)

    def add(self, text: str, known: PromptFilter | None = None) -> PromptFilter | None:
        """Add a view, which need not be parsed if it is `known`. Returns it if there was no equal view."""
        self._count[text] += 1
        if self._count[text] > 1:
            return None
        view = of_reviewer(known) if known is not None else decode_view(text)
        for key in _audience_keys(view):
            self._by_audience.setdefault(key, {})[text] = view
        return view

    def discard(self, text: str) -> str:
        """Remove a view. Returns its namespace if it was the last equal view, else an empty string."""
        self._count[text] -= 1
        if self._count[text] > 0:
            return ""
        del self._count[text]
        view = decode_view(text)
        for key in _audience_keys(view):
            self._by_audience[key].pop(text, None)
            if not self._by_audience[key]:
                del self._by_audience[key]
        return view.namespace

    @property
    def is_settled(self) -> bool:
        """Whether prompts can count as unattended."""
        return self._settled

    def settle(self) -> None:
        """From now on prompts without a present reviewer count as unattended."""
        self._settled = True

    def count_views(self, namespace: str) -> tuple[int, int]:
        """(different views, people) of a namespace."""
        views = self._by_audience.get((namespace, "any", ""), {}).values()  # every view has this key
        return len(views), len({view.viewer.subject for view in views if view.viewer is not None})

    def is_attended(self, prompt: Prompt) -> bool:
        """Whether some console shows the prompt to one of its reviewers."""
        return not self._settled or self.has(prompt)

    def has(self, prompt: Prompt) -> bool:
        """Whether one of the views shows the prompt to one of its reviewers.

        An admin sees every prompt, but is not a reviewer for that reason: a prompt for certain users or
        groups is not attended because an admin watches the service.
        """
        audience, namespace = prompt.content.reach, prompt.namespace
        keys = [(namespace, "user", user) for user in audience.users]
        keys += [(namespace, "group", group) for group in audience.groups]
        if not keys:
            keys = [(namespace, "any", "")]
        views = (view for key in keys for view in self._by_audience.get(key, {}).values())
        return any(view.matches(prompt) and not _is_excluded(view, prompt) for view in views)


def _is_excluded(view: PromptFilter, prompt: Prompt) -> bool:
    return view.viewer is not None and prompt.excludes(view.viewer)


def _audience_keys(view: PromptFilter) -> Iterable[tuple[str, str, str]]:
    assert view.viewer is not None
    yield view.namespace, "any", ""
    yield view.namespace, "user", view.viewer.subject
    for group in view.viewer.groups:
        yield view.namespace, "group", group


class PresenceTracker:
    """Keeps the index up to date, publishes the views of this replica, and reviews affected prompts."""

    def __init__(self, store: PresenceStore, engine: Engine, index: PresenceIndex) -> None:
        """The engine is given the same `index`, which is therefore made before both."""
        self._store = store
        self._engine = engine
        self._id = uuid7()
        self._index = index
        self._own_views: Counter[str] = Counter()
        self._version = 0
        self._published = 0
        self._others: dict[str, tuple[int, Sequence[str]]] = {}
        self._arrivals = Arrivals()
        self._left: set[str] = set()
        """Namespaces whose prompts must be reviewed because consoles left."""
        self._doubtful: set[str] = set()
        """Jobs whose prompts must be reviewed: their marks were written while consoles came or left."""
        self._changed = asyncio.Event()
        self._asked_early: set[str] = set()
        """Namespaces of prompts that were asked before the index was settled."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Note what to review: namespaces with open prompts while the index is not settled, and jobs whose
        marks were written while consoles came or left, because the review this caused may have been too
        early."""
        if not self._index.is_settled:
            self._asked_early.update(item.job.namespace for item in batch if item.job.open_prompts)
            return
        for item in batch:
            for prompt in item.prompts if item.events else ():
                marked = prompt.unattended_since is not None
                if prompt.is_open and self._index.has(prompt) is marked:
                    self._doubtful.add(item.job.job_id)
                    self._changed.set()

    def on_announced(self, announced: Sequence[Announcement]) -> None:
        """While the index is not settled, note namespaces with changed prompts."""
        if not self._index.is_settled:
            self._asked_early.update(item.namespace for item in announced if item.prompts)

    def enter(self, view: PromptFilter) -> Callable[[], None]:
        """Add a console's view. Returns the function to call when its stream has ended."""
        text = encode_view(view)
        self._own_views[text] += 1
        self._version += 1
        self._add_view(text, view)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                asyncio.get_running_loop().call_later(LINGER_SECONDS, self._remove_view, text)

        return leave

    def _remove_view(self, text: str) -> None:
        self._own_views[text] -= 1
        if not self._own_views[text]:
            del self._own_views[text]
        self._version += 1
        self._discard_view(text)

    def _add_view(self, text: str, known: PromptFilter | None = None) -> None:
        view = self._index.add(text, known)
        if view is not None:
            self._arrivals.add(view)
            self._changed.set()

    def _discard_view(self, text: str) -> None:
        namespace = self._index.discard(text)
        if namespace:
            self._left.add(namespace)
            self._changed.set()

    async def run(self) -> None:
        """Exchange views and review prompts until cancelled."""
        ready = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._settle)
        try:
            await every(0.0, self._tick, "presence")
        finally:
            ready.cancel()

    def count_consoles(self, namespace: str) -> tuple[int, int]:
        """(different views, people) connected to a namespace at any replica."""
        return self._index.count_views(namespace)

    def _settle(self) -> None:
        self._index.settle()
        self._left |= self._asked_early
        self._asked_early.clear()
        self._changed.set()

    async def _tick(self) -> None:
        try:
            async with asyncio.timeout(INTERVAL_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        try:
            await self.exchange()
        except BaseException:
            await asyncio.sleep(INTERVAL_SECONDS)  # the database may be unavailable: do not spin
            raise
        began = asyncio.get_running_loop().time()
        await self.review()
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(min(INTERVAL_SECONDS, REST_RATIO * took))

    async def exchange(self) -> None:
        """Publish the views of this replica and read those of the others. Raises StorageUnavailable."""
        version = self._version
        if version != self._published or not await self._store.extend(self._id, TTL_SECONDS):
            await self._store.publish(self._id, version, tuple(self._own_views), TTL_SECONDS)
            self._published = version
        versions = {i: v for i, v in (await self._store.versions()).items() if i != self._id}
        news = [i for i, v in versions.items() if self._others.get(i, (-1, ()))[0] != v]
        found = await self._store.views(news) if news else {}
        expired = [i for i in self._others if i not in versions]
        for replica_id in (*found, *expired):
            _, before = self._others.pop(replica_id, (0, ()))
            if replica_id in found:
                self._others[replica_id] = found[replica_id]
            now = found[replica_id][1] if replica_id in found else ()
            # Add before removing, so that a view in both never disappears in between.
            for text in now:
                self._add_view(text)
            for text in before:
                self._discard_view(text)

    async def review(self) -> None:
        """Review the prompts that consoles which came or left may see. Raises StorageUnavailable."""
        jobs, self._doubtful = self._doubtful, set()
        await self._review_jobs(jobs)
        while self._arrivals:
            filter, people = self._arrivals.pop()
            after = ""
            while marked := await self._store.list_unattended(filter, people, after, PAGE_SIZE):
                await self._review_jobs(p.job_id for p in marked if self._index.is_attended(p))
                after = marked[-1].prompt_id
        while self._left and self._index.is_settled:
            namespace = self._left.pop()
            open_prompts = await self._store.list_attended(namespace, MAX_REVIEWED)
            unattended = [p for p in open_prompts if not self._index.is_attended(p)]
            for at in range(0, len(unattended), PAGE_SIZE):
                await self._review_jobs(p.job_id for p in unattended[at : at + PAGE_SIZE])

    async def _review_jobs(self, job_ids: Iterable[str]) -> None:
        jobs = sorted(set(job_ids))
        done = await asyncio.gather(
            *(self._engine.execute(ReviewPresence(job_id=job_id)) for job_id in jobs),
            return_exceptions=True,
        )
        for job_id, error in zip(jobs, done, strict=True):
            if isinstance(error, AskbackError):
                _log.warning("presence of prompts of job %s was not reviewed: %s", job_id, error)
            elif isinstance(error, BaseException):
                raise error
        await asyncio.sleep(PAUSE_SECONDS if jobs else 0)
