"""The parts of one replica, assembled by `bootstrap.build`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from askback_server.domain.limits import Limits
from askback_server.engine.absences import AbsenceKeeper
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.directory import Directory
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine
from askback_server.engine.keeper import SessionKeeper
from askback_server.engine.overview import Overviews
from askback_server.engine.policy import Policy
from askback_server.engine.presence import PresenceTracker
from askback_server.engine.queries import Queries
from askback_server.engine.receipts import Receipts
from askback_server.engine.rule_history import RuleHistory
from askback_server.engine.rules import Rules
from askback_server.engine.sign_outs import SignOuts
from askback_server.engine.sweep import Sweep
from askback_server.engine.timers import Timers
from askback_server.feed.feed import Feed
from askback_server.feed.horizon import HorizonWatch
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.clock import Clock
from askback_server.ports.storage import FeedStore, JobStore
from askback_server.ports.worker_sessions import SessionStore
from askback_server.sessions.admission import Admission
from askback_server.sessions.drain import OpenStream
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import MemoryBudget
from askback_server.sessions.progress import ProgressWriter
from askback_server.sessions.watch import Watch


@dataclass(slots=True)
class Replica:
    """The parts that servicers and sessions use. Times in seconds."""

    replica: str
    """Its name, for logs and people."""
    limits: Limits
    clock: Clock
    engine: Engine
    queries: Queries
    receipts: Receipts
    feed: Feed
    bus: CommitBus
    horizon: HorizonWatch
    tokens: ResumeTokens
    secret: bytes
    log: FeedStore
    jobs: JobStore
    sessions: SessionStore
    keeper: SessionKeeper
    dispatcher: Dispatcher
    presence: PresenceTracker
    sign_outs: SignOuts
    directory: Directory
    rules: Rules
    policy: Policy
    rule_history: RuleHistory
    absences: AbsenceKeeper
    timers: Timers
    sweep: Sweep
    overviews: Overviews
    progress: ProgressWriter
    heartbeat: float
    max_message_bytes: int
    test_mode: bool = False
    """Whether answers of scripted humans are accepted."""
    unsent: MemoryBudget = field(init=False)
    """Memory of frames that streams cannot write yet."""
    writing: MemoryBudget = field(init=False)
    """Memory of messages that the transport is writing. A separate budget, because frames wait for it."""
    received: MemoryBudget = field(init=False)
    """Memory of received messages whose frames are not processed yet."""
    images: Images = field(init=False)
    """Memory of changes that views have not sent yet."""
    admission: Admission = field(init=False)
    streams: set[OpenStream] = field(default_factory=set)
    """The open streams and watching calls, for the drain."""

    def __post_init__(self) -> None:
        maximum, share = self.limits.unsent_bytes_in_all, self.limits.unsent_bytes_per_principal
        self.unsent = MemoryBudget(maximum, share)
        self.writing = MemoryBudget(maximum, share)
        self.received = MemoryBudget(self.limits.received_bytes_in_all, share)
        self.images = Images(self.limits.view_bytes_in_all)
        self.admission = Admission(self.limits.view_loads)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Register a watching call for the drain."""
        watch = Watch()
        self.streams.add(watch)
        try:
            yield watch
        finally:
            self.streams.discard(watch)
