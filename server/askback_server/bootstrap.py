"""The composition root: builds a replica from its parts and their implementations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from askback_server.config.settings import Config
from askback_server.domain.people import Roster
from askback_server.engine.absences import AbsenceKeeper, KnownAbsences
from askback_server.engine.checkpoints import Checkpoints
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.concurrency import Concurrency
from askback_server.engine.consumers import Consumers
from askback_server.engine.directory import Directory, no_roster
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine
from askback_server.engine.event_log import EventLog
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.engine.keeper import SessionKeeper
from askback_server.engine.observer import NullObserver, Observer, Observers
from askback_server.engine.overview import Overviews
from askback_server.engine.pace import Pace
from askback_server.engine.policy import Policy
from askback_server.engine.presence import PresenceIndex, PresenceTracker
from askback_server.engine.purge import Purge
from askback_server.engine.queries import Queries
from askback_server.engine.receipts import Receipts
from askback_server.engine.rule_history import RuleHistory
from askback_server.engine.rules import Rules
from askback_server.engine.sign_outs import SignOuts
from askback_server.engine.sweep import Sweep
from askback_server.engine.timers import Timers
from askback_server.expressions import load_expressions
from askback_server.feed.feed import Feed
from askback_server.feed.horizon import HorizonWatch
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.clock import Clock, DatabaseClock, SystemClock
from askback_server.ports.database import Storage
from askback_server.sessions.progress import ProgressWriter
from askback_server.sessions.replica import Replica
from askback_server.signing import FileSigner, signer

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


async def build(
    config: Config,
    storage: Storage,
    clock: Clock | None = None,
    observer: Observer | None = None,
    roster: Callable[[], Roster | None] = no_roster,
) -> Replica:
    """A replica over an open database. Nothing runs yet. `roster` returns the people of the token file.

    Raises StorageUnavailable.
    """
    clock = clock or SystemClock()
    time = DatabaseClock(clock)
    time.observe(await storage.ping())
    limits = config.limits
    bus, consumers, index = CommitBus(), Consumers(), PresenceIndex()
    hot = HotJobs(
        clock.monotonic,
        max_bytes=config.hot_jobs_bytes,
        newest=bus.version_of,
    )
    feed = Feed(storage.feed, storage.jobs, hot, bus, storage.wakeups)
    await feed.start()

    expressions = load_expressions()
    rules = Rules(storage.rules, expressions)
    await rules.load()
    known_absences = KnownAbsences(storage.absences, time)
    await known_absences.load()
    observers = Observers(EventLog(), observer or NullObserver())
    engine = Engine(
        storage.jobs,
        time,
        limits,
        hot,
        feed.publish,
        batch_commands=config.batch,
        queue=config.queue,
        observer=observers,
        attended=index.is_attended,
        read_electorate=storage.people.read_electorate,
        rules=rules,
        absences=lambda: known_absences.book,
    )
    concurrency = Concurrency(config.queue_limits, storage.queue_locks, time)
    dispatcher = Dispatcher(engine, storage.queue, consumers, time, concurrency)
    engine.lease_at_once(dispatcher.choose_worker)
    timers = Timers(engine, storage.queue, time)
    presence = PresenceTracker(storage.presence, engine, index)
    pace = Pace(lambda: engine.idle)
    for part in (timers, dispatcher, presence, pace):
        bus.follow_batches(part.on_commit)
    for part in (dispatcher, presence, pace):
        bus.follow_announcements(part.on_announced)
    sign_outs = SignOuts(storage.sign_outs, time, limits)
    await sign_outs.load()
    directory = Directory(storage.people, time, limits, roster)
    absences = AbsenceKeeper(
        storage.absences, known_absences, storage.people, storage.jobs, engine, time, limits
    )
    secret = await storage.secret()
    queries = Queries(storage.jobs, hot)
    receipt_signer = FileSigner(config.signing_keys) if config.signing_keys else None
    return Replica(
        replica=config.name,
        limits=limits,
        clock=clock,
        engine=engine,
        queries=queries,
        receipts=Receipts(storage.audit, queries, receipt_signer),
        feed=feed,
        bus=bus,
        horizon=HorizonWatch(storage.feed),
        tokens=ResumeTokens(secret, feed.epoch),
        secret=secret,
        log=storage.feed,
        jobs=storage.jobs,
        sessions=storage.sessions,
        keeper=SessionKeeper(storage.sessions, storage.queue, engine, config.lease_ttl),
        dispatcher=dispatcher,
        presence=presence,
        sign_outs=sign_outs,
        directory=directory,
        rules=rules,
        policy=Policy(storage.rules, storage.jobs, engine, rules, expressions, time, limits),
        rule_history=RuleHistory(storage.jobs, rules, expressions, time, limits),
        absences=absences,
        timers=timers,
        sweep=Sweep(
            storage.queue,
            time,
            config.sweep_interval,
            Purge(engine, storage.queue, storage.queue_locks, pace),
            pace,
            storage.sign_outs,
            HourlyCounts(storage.overview, time, timedelta(days=config.overview_days)),
            Checkpoints(storage.checkpoints, time, signer(config.signing_keys)),
        ),
        overviews=Overviews(storage.overview, storage.jobs, presence, directory, limits),
        progress=ProgressWriter(engine, clock.monotonic),
        heartbeat=config.heartbeat,
        max_message_bytes=MAX_MESSAGE_BYTES,
        test_mode=config.test_mode,
    )
