"""Every metric: its name, kind, labels and meaning, and how to aggregate it over replicas.

The exposition, docs/reference/metrics.md and the check of the alerts are derived from this list.
"""

from __future__ import annotations

from askback._metrics.metric import Across, Kind, Metric

_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_MAX, _EACH = Across.MAX, Across.EACH

# Prompts.
OPEN_PROMPTS = Metric(
    "askback_open_prompts",
    _GAUGE,
    "Prompts that wait for people. `age` is the class: 1m (up to a minute), 5m, 1h, 1d, 7d, older; "
    "the sum over it is all of them.",
    _MAX,
    ("kind", "age"),
)
UNATTENDED_PROMPTS = Metric(
    "askback_unattended_prompts",
    _GAUGE,
    "Open prompts whose audience has no console connected: escalate.",
    _MAX,
    ("kind",),
)
OLDEST_PROMPT = Metric(
    "askback_open_prompt_oldest_seconds",
    _GAUGE,
    "Age of the prompt that has waited longest.",
    _MAX,
    ("kind",),
)
PROMPTS_ASKED = Metric("askback_prompts_asked", _COUNTER, "Prompts asked.", labels=("kind",))
PROMPTS_RESOLVED = Metric(
    "askback_prompts_resolved",
    _COUNTER,
    "Prompts that ended. `outcome`: answered (by a person), overridden (by an admin), defaulted (by the "
    "default of a passed deadline), ruled (by a rule), "
    "expired, cancelled, superseded.",
    labels=("kind", "outcome"),
)
ANSWER_SECONDS = Metric(
    "askback_answer_seconds",
    _HISTOGRAM,
    "From the question to a person's answer that was accepted.",
    labels=("kind",),
    buckets=(1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 604_800),
)
RULE_ERRORS = Metric(
    "askback_rule_errors",
    _COUNTER,
    "Rules that could not be evaluated on a prompt that was asked. The event PROMPT_RULED names them.",
)
ANSWERS_REFUSED = Metric(
    "askback_answers_refused",
    _COUNTER,
    "Answers that were kept but resolved nothing. `status`: INVALID, STALE (the prompt had changed), CLOSED "
    "(too late).",
    labels=("status",),
)
# Jobs and workers.
JOBS_CREATED = Metric("askback_jobs_created", _COUNTER, "Jobs created.", labels=("job_type",))
JOBS_ENDED = Metric(
    "askback_jobs_ended",
    _COUNTER,
    "Jobs that ended. `state`: COMPLETED, FAILED, CANCELLED.",
    labels=("job_type", "state"),
)
JOBS_RUNNABLE = Metric(
    "askback_jobs_runnable", _GAUGE, "Jobs that any worker of the type may take now.", _MAX, ("job_type",)
)
OLDEST_RUNNABLE = Metric(
    "askback_job_runnable_oldest_seconds",
    _GAUGE,
    "For how long the first of them has been runnable.",
    _MAX,
    ("job_type",),
)
JOBS_HELD = Metric(
    "askback_jobs_held",
    _GAUGE,
    "Jobs that a worker's session holds, those that wait for people included.",
    _MAX,
    ("job_type",),
)
WORKER_SESSIONS = Metric(
    "askback_worker_sessions", _GAUGE, "Sessions of workers that have not expired.", _MAX
)
LEASES_LOST = Metric(
    "askback_leases_lost",
    _COUNTER,
    "Jobs taken back from a worker that was not heard any more.",
    labels=("job_type",),
)
# The engine.
QUEUE_COMMANDS = Metric("askback_engine_queue_commands", _GAUGE, "Commands that wait for the next batch.")
BATCH_COMMANDS = Metric(
    "askback_engine_batch_commands",
    _HISTOGRAM,
    "Commands taken in one batch; its sum is all commands, its count all batches.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024),
)
COMMIT_SECONDS = Metric(
    "askback_engine_commit_seconds",
    _HISTOGRAM,
    "One durable write, until the database has confirmed it.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
GUARDS_LOST = Metric(
    "askback_engine_guards_lost",
    _COUNTER,
    "Writes of one job that changed nothing and were decided again. `reason`: VERSION (another write was "
    "first), SESSION (its worker's session had ended), MOVED (that had gone to another stream), TIME (too "
    "early or too late).",
    labels=("reason",),
)
BATCHES_FAILED = Metric(
    "askback_engine_batches_failed", _COUNTER, "Batches that came to nothing; the log says why."
)
HOT_JOBS = Metric("askback_hot_jobs", _GAUGE, "Jobs kept in memory.")
HOT_LOOKUPS = Metric(
    "askback_hot_job_lookups",
    _COUNTER,
    "Looks at the memory. `result`: hit, miss (the database is read). The hit rate is hit / all.",
    labels=("result",),
)
# Calls and streams.
CALLS = Metric(
    "askback_grpc_calls", _COUNTER, "gRPC calls that ended, streams included.", labels=("method", "code")
)
STREAMS = Metric("askback_streams_open", _GAUGE, "Streams that are open.", labels=("method",))
# The replica and its database.
READY = Metric("askback_ready", _GAUGE, "1 while calls are taken, 0 from the begin of a drain.")
FEED_LIVE = Metric(
    "askback_feed_live", _GAUGE, "1 while the log is followed, 0 while it cannot be read.", _EACH
)
FEED_LAG = Metric(
    "askback_feed_lag_seconds",
    _GAUGE,
    "Age of the first committed event that the feed has not passed: up to a second or two when all is well; "
    "more with a long transaction in the database. Absent while the database does not answer.",
    _MAX,
)
FEED_HELD_BACK = Metric(
    "askback_feed_held_back_seconds",
    _GAUGE,
    "Age of the oldest committed event that cannot be read in order yet, because an older transaction runs "
    "somewhere in the database's cluster; 0 if there is none. Above 5 the log names who does it.",
    _MAX,
)
WAKEUPS_HEARD = Metric(
    "askback_wakeups_heard",
    _GAUGE,
    "1 while this replica hears of others' commits at once, 0 while it finds them by polling alone: with an "
    "embedded database, or until a lost connection is back.",
    _EACH,
)
DATABASE_UP = Metric(
    "askback_database_up", _GAUGE, "1 if the database answered when this was read, else 0.", _EACH
)
DATABASE_CONNECTIONS = Metric(
    "askback_database_connections",
    _GAUGE,
    "Connections of the pool for reads. `state`: in_use, idle.",
    labels=("state",),
)
COUNTS_PARTIAL = Metric(
    "askback_counts_partial",
    _GAUGE,
    "1 if the database holds more open prompts, runnable or held jobs than are counted: then the numbers of "
    "these are too low.",
    _MAX,
)
LOOP_LAG = Metric(
    "askback_loop_lag_seconds", _GAUGE, "How long the event loop took to turn to the reading of this.", _MAX
)
BUILD_INFO = Metric(
    "askback_build_info", _GAUGE, "Always 1; the labels say what runs.", _EACH, ("version", "replica")
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""All metrics, in the order of the documentation."""

AGE_CLASSES = ("1m", "5m", "1h", "1d", "7d", "older")
"""Values of the label `age` of OPEN_PROMPTS; their bounds are in ports/census.py."""

MOST_KINDS, MOST_TYPES = 20, 50
"""Maximum number of prompt kinds, and of job types, with their own label value. All others share `other`."""
