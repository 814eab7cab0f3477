"""The tables of docs/design.md 8. One definition for both databases; the migrations build the same.

Others are in `replica_tables.py`, `people_tables.py`, `hour_table.py`, `sign_out_table.py`,
`rule_tables.py` and `checkpoint_table.py`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from askback_server.storage.types import Id, Instant, JsonB, JsonText, Xid

HANDLE_AT = 31
"""Start of the last six of the 36 characters of an id, which are its handle and indexed. Ids from about the
same time have the same beginning."""

NO_DEADLINE = "'9999-12-31T00:00:00.000000+00:00'"
"""The deadline, as SQL, by which prompts without one are sorted: after all prompts with one."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

ANSWERED_BY = "response_data ->> 'user_id'"
"""Who gave the accepted answer; null without an answer. An expression, so that also an older program keeps
its index."""


def _only(condition: str) -> dict[str, Any]:
    """The options of an index that has only the rows of a condition."""
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", Id, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("job_type", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("input", JsonText),
    sa.Column("result", JsonText),
    sa.Column("error", JsonText),
    sa.Column("progress_percent", sa.Double, nullable=False),
    sa.Column("progress", JsonText),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("completed_at", Instant),
    sa.Column("promoted", sa.Boolean, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("labels", JsonB, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("rounds", sa.Integer, nullable=False),
    sa.Column("open_prompts", sa.Integer, nullable=False),
    sa.Column("open_blocking", sa.Integer, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("ready_at", Instant),
    sa.Column("session_id", Id),
    sa.Column("worker_id", sa.Text, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("cancel_requested_at", Instant),
    sa.Column("cancel_at", Instant),
    sa.Column("cancel_reason", sa.Text, nullable=False),
    sa.Column("retention_s", sa.Double),
    sa.Column("purge_at", Instant),
    sa.Column("request_id", sa.Text),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("retried_from", Id),
    sa.Column("workerless", sa.Boolean, nullable=False),
    sa.Column("checkpoints", sa.Integer, nullable=False),
    sa.Column("understanding_version", sa.Integer, nullable=False),
    sa.Column("timeout_s", sa.Double),
    sa.Column("deadline", Instant),
    sa.Column("run_timeout_s", sa.Double),
    sa.Column("run_until", Instant),
    sa.Column("run_left_s", sa.Double),
    sa.Column("root_job_id", Id),
    sa.Column("carried_answers", sa.Integer),
    sa.Column("wake", sa.Text),
    sa.Column("stalled_at", Instant),
    sa.Column("unreceived", sa.Integer),
    sa.Column("cancelled_by", sa.Text),
    sa.Column("chain", sa.LargeBinary),
    sa.Column("requesters", sa.Text),
    sa.UniqueConstraint("namespace", "request_id", name="uq_jobs_request"),
    # No index names status, version or updated_at, not even in a predicate: they change with every
    # write, and each such index would turn HOT updates (71 to 99 %) into index writes (16 %).
    sa.Index(
        "ix_jobs_ready",
        "namespace",
        "job_type",
        sa.text("priority DESC"),
        "ready_at",
        **_only("ready_at IS NOT NULL"),
    ),
    sa.Index("ix_jobs_session", "session_id", **_only("session_id IS NOT NULL")),
    sa.Index("ix_jobs_cancel", "cancel_at", **_only("cancel_at IS NOT NULL")),
    sa.Index("ix_jobs_deadline", "deadline", **_only("deadline IS NOT NULL AND completed_at IS NULL")),
    sa.Index("ix_jobs_run", "run_until", **_only("run_until IS NOT NULL")),
    sa.Index("ix_jobs_purge", "purge_at", **_only("purge_at IS NOT NULL")),
    sa.Index("ix_jobs_newest", "namespace", "job_id"),
    sa.Index("ix_jobs_handle", sa.text(f"substr(CAST(job_id AS TEXT), {HANDLE_AT})")),
    sa.Index("ix_jobs_created", "created_at"),
    postgresql_with={"fillfactor": "85"},
)

prompts = sa.Table(
    "hitl_interactions",
    metadata,
    sa.Column("interaction_id", Id, primary_key=True),
    sa.Column("job_id", Id, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("job_type", sa.Text, nullable=False),
    sa.Column("interaction_type", sa.Text, nullable=False),
    sa.Column("round_number", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("prompt_data", JsonText, nullable=False),
    sa.Column("response_data", JsonText),
    sa.Column("metadata", JsonText),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("audience", JsonB),
    sa.Column("labels", JsonB, nullable=False),
    sa.Column("blocking", sa.Boolean, nullable=False),
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("claimed_until", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("timeout_at", Instant),
    sa.Column("responded_at", Instant),
    sa.Column("consumed_at", Instant),
    sa.Column("submissions", sa.Integer, nullable=False),
    sa.Column("nudges", JsonText),
    sa.Column("nudge_at", Instant),
    sa.Column("unattended_since", Instant),
    sa.Column("same_digest", sa.Text),
    # The votes of people, of a prompt with an approval.
    sa.Column("votes", sa.Text),
    sa.Column("requested_by", sa.Text),
    sa.Column("shown_digest", sa.Text),
    sa.Column("asked_digest", sa.Text),
    sa.UniqueConstraint("job_id", "key", name="uq_hitl_interactions_key"),
    # A prompt is open while responded_at is null. It is set once, when the prompt ends.
    sa.Index(
        "ix_hitl_interactions_urgency",
        "namespace",
        sa.text("priority DESC"),
        sa.text(f"COALESCE(timeout_at, {NO_DEADLINE})"),
        "interaction_id",
        **_only("responded_at IS NULL"),
    ),
    sa.Index(
        "ix_hitl_interactions_due", "timeout_at", **_only("responded_at IS NULL AND timeout_at IS NOT NULL")
    ),
    sa.Index(
        "ix_hitl_interactions_nudge", "nudge_at", **_only("responded_at IS NULL AND nudge_at IS NOT NULL")
    ),
    sa.Index(
        "ix_hitl_interactions_unattended",
        "namespace",
        "interaction_id",
        **_only("unattended_since IS NOT NULL"),
    ),
    sa.Index(
        "ix_hitl_interactions_closed",
        "namespace",
        "responded_at",
        "interaction_id",
        **_only("responded_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_hitl_interactions_job",
        "job_id",
        "responded_at",  # always null: for SQLite, which would otherwise choose the key of closed ones
        **_only("responded_at IS NULL"),
    ),
    # For counts and the oldest. It has every column that they read, because contents make rows large.
    sa.Index(
        "ix_hitl_interactions_open",
        "namespace",
        "created_at",
        "interaction_id",
        "interaction_type",
        "priority",
        "unattended_since",
        "responded_at",  # always null: for SQLite, which reads the row without it
        **_only("responded_at IS NULL"),
    ),
    sa.Index(
        "ix_hitl_interactions_answered",
        "namespace",
        sa.text(f"({ANSWERED_BY})"),
        "responded_at",
        "interaction_id",
        **_only(f"({ANSWERED_BY}) IS NOT NULL"),
    ),
    sa.Index("ix_hitl_interactions_handle", sa.text(f"substr(CAST(interaction_id AS TEXT), {HANDLE_AT})")),
    postgresql_with={"fillfactor": "85"},
)

answers = sa.Table(
    "hitl_answers",
    metadata,
    sa.Column("interaction_id", Id, primary_key=True),
    sa.Column("answer_id", sa.Text, primary_key=True),
    sa.Column("job_id", Id, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("answer", JsonText, nullable=False),
    sa.Column("violations", JsonText),
    sa.Column("created_at", Instant, nullable=False),
)

checkpoints = sa.Table(
    "job_checkpoints",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.Text(collation="C").with_variant(sa.Text, "sqlite"), primary_key=True),
    sa.Column("value", JsonText, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

# Answers from earlier jobs of a chain of retries, for questions that this job may ask again.
carried_answers = sa.Table(
    "job_carried_answers",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("from_job_id", Id, nullable=False),
    sa.Column("prompt_id", Id, nullable=False),
    sa.Column("response", JsonText, nullable=False),
)

understandings = sa.Table(
    "deep_understanding_state",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("questions_asked", JsonText, nullable=False),
    sa.Column("answers", JsonText, nullable=False),
    sa.Column("research_performed", JsonText, nullable=False),
    sa.Column("understanding_summary", sa.Text, nullable=False),
    sa.Column("user_problem", sa.Text, nullable=False),
    sa.Column("readiness_score", sa.Double, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

# No foreign key, and no unique index over all days: the guard of the write makes (job_id, seq) unique
# (docs/design.md 8). PostgreSQL partitions it by day of `at`; `id` and `xid` have server defaults.
events = sa.Table(
    "job_events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("xid", Xid, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("job_id", Id, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("command_id", Id, nullable=False),
    sa.Column("prompt_id", Id),
    sa.Column("data", JsonText),
    # The event's link in the chain of its job (domain/chain.py); null if an older version wrote it.
    sa.Column("hash", sa.LargeBinary),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("document_salt", sa.LargeBinary),
    sa.Column("documents", sa.LargeBinary),
    # Instead of actor, data and salt once these were erased: their digest.
    sa.Column("erased", sa.LargeBinary),
    sa.Index("ix_job_events_job", "job_id", "seq"),
    sa.Index("ix_job_events_feed", "xid", "id"),
    sqlite_autoincrement=True,
)

sessions = sa.Table(
    "worker_sessions",
    metadata,
    sa.Column("session_id", Id, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("worker_id", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False),
    sa.Column("replica", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    # Leases that the worker may not have received, as JSON; null without any. See Doubt in ports/storage.py.
    sa.Column("doubts", sa.Text),
)

settings = sa.Table(
    "askback_settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
