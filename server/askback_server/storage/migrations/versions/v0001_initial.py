"""All tables of version 0.1.0."""

import secrets

import sqlalchemy as sa
from alembic import op

from askback_server.storage.postgres_days import make_days
from askback_server.storage.types import Id, Instant, JsonB, JsonText

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "askback_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_askback_settings")),
    )
    _create_events()
    op.create_table(
        "jobs",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("input", JsonText, nullable=True),
        sa.Column("result", JsonText, nullable=True),
        sa.Column("error", JsonText, nullable=True),
        sa.Column("progress_percent", sa.Double(), nullable=False),
        sa.Column("progress", JsonText, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("completed_at", Instant(), nullable=True),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("labels", JsonB, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("open_prompts", sa.Integer(), nullable=False),
        sa.Column("open_blocking", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("ready_at", Instant(), nullable=True),
        sa.Column("session_id", Id, nullable=True),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("cancel_requested_at", Instant(), nullable=True),
        sa.Column("cancel_at", Instant(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=False),
        sa.Column("retention_s", sa.Double(), nullable=True),
        sa.Column("purge_at", Instant(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("retried_from", Id, nullable=True),
        sa.Column("workerless", sa.Boolean(), nullable=False),
        sa.Column("checkpoints", sa.Integer(), nullable=False),
        sa.Column("understanding_version", sa.Integer(), nullable=False),
        sa.Column("timeout_s", sa.Double(), nullable=True),
        sa.Column("deadline", Instant(), nullable=True),
        sa.Column("run_timeout_s", sa.Double(), nullable=True),
        sa.Column("run_until", Instant(), nullable=True),
        sa.Column("run_left_s", sa.Double(), nullable=True),
        sa.Column("root_job_id", Id, nullable=True),
        sa.Column("carried_answers", sa.Integer(), nullable=True),
        sa.Column("wake", sa.Text(), nullable=True),
        sa.Column("stalled_at", Instant(), nullable=True),
        sa.Column("unreceived", sa.Integer(), nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("namespace", "request_id", name="uq_jobs_request"),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_jobs_cancel",
        "jobs",
        ["cancel_at"],
        unique=False,
        postgresql_where=sa.text("cancel_at IS NOT NULL"),
        sqlite_where=sa.text("cancel_at IS NOT NULL"),
    )
    op.create_index("ix_jobs_created", "jobs", ["created_at"], unique=False)
    op.create_index("ix_jobs_newest", "jobs", ["namespace", "job_id"], unique=False)
    op.create_index(
        "ix_jobs_purge",
        "jobs",
        ["purge_at"],
        unique=False,
        postgresql_where=sa.text("purge_at IS NOT NULL"),
        sqlite_where=sa.text("purge_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        ["namespace", "job_type", sa.text("priority DESC"), "ready_at"],
        unique=False,
        postgresql_where=sa.text("ready_at IS NOT NULL"),
        sqlite_where=sa.text("ready_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_session",
        "jobs",
        ["session_id"],
        unique=False,
        postgresql_where=sa.text("session_id IS NOT NULL"),
        sqlite_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_deadline",
        "jobs",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("deadline IS NOT NULL AND completed_at IS NULL"),
        sqlite_where=sa.text("deadline IS NOT NULL AND completed_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_run",
        "jobs",
        ["run_until"],
        unique=False,
        postgresql_where=sa.text("run_until IS NOT NULL"),
        sqlite_where=sa.text("run_until IS NOT NULL"),
    )
    op.create_index("ix_jobs_handle", "jobs", [sa.text("substr(CAST(job_id AS TEXT), 31)")], unique=False)
    op.create_table(
        "worker_sessions",
        sa.Column("session_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("doubts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_worker_sessions")),
    )
    op.create_table(
        "deep_understanding_state",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("questions_asked", JsonText, nullable=False),
        sa.Column("answers", JsonText, nullable=False),
        sa.Column("research_performed", JsonText, nullable=False),
        sa.Column("understanding_summary", sa.Text(), nullable=False),
        sa.Column("user_problem", sa.Text(), nullable=False),
        sa.Column("readiness_score", sa.Double(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_deep_understanding_state_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_deep_understanding_state")),
    )
    op.create_table(
        "hitl_answers",
        sa.Column("interaction_id", Id, nullable=False),
        sa.Column("answer_id", sa.Text(), nullable=False),
        sa.Column("job_id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("answer", JsonText, nullable=False),
        sa.Column("violations", JsonText, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_hitl_answers_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("interaction_id", "answer_id", name=op.f("pk_hitl_answers")),
    )
    op.create_index(op.f("ix_hitl_answers_job_id"), "hitl_answers", ["job_id"], unique=False)
    op.create_table(
        "hitl_interactions",
        sa.Column("interaction_id", Id, nullable=False),
        sa.Column("job_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("interaction_type", sa.Text(), nullable=False),
        sa.Column("round_number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("prompt_data", JsonText, nullable=False),
        sa.Column("response_data", JsonText, nullable=True),
        sa.Column("metadata", JsonText, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("audience", JsonB, nullable=True),
        sa.Column("labels", JsonB, nullable=False),
        sa.Column("blocking", sa.Boolean(), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=False),
        sa.Column("claimed_until", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("timeout_at", Instant(), nullable=True),
        sa.Column("responded_at", Instant(), nullable=True),
        sa.Column("consumed_at", Instant(), nullable=True),
        sa.Column("submissions", sa.Integer(), nullable=False),
        sa.Column("nudges", JsonText, nullable=True),
        sa.Column("nudge_at", Instant(), nullable=True),
        sa.Column("unattended_since", Instant(), nullable=True),
        sa.Column("same_digest", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_hitl_interactions_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_hitl_interactions")),
        sa.UniqueConstraint("job_id", "key", name="uq_hitl_interactions_key"),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_hitl_interactions_inbox",
        "hitl_interactions",
        ["namespace", sa.text("priority DESC"), "timeout_at", "interaction_id"],
        unique=False,
        postgresql_where=sa.text("responded_at IS NULL"),
        sqlite_where=sa.text("responded_at IS NULL"),
    )
    op.create_index(
        "ix_hitl_interactions_due",
        "hitl_interactions",
        ["timeout_at"],
        unique=False,
        postgresql_where=sa.text("responded_at IS NULL AND timeout_at IS NOT NULL"),
        sqlite_where=sa.text("responded_at IS NULL AND timeout_at IS NOT NULL"),
    )
    op.create_index(
        "ix_hitl_interactions_nudge",
        "hitl_interactions",
        ["nudge_at"],
        unique=False,
        postgresql_where=sa.text("responded_at IS NULL AND nudge_at IS NOT NULL"),
        sqlite_where=sa.text("responded_at IS NULL AND nudge_at IS NOT NULL"),
    )
    op.create_index(
        "ix_hitl_interactions_unattended",
        "hitl_interactions",
        ["namespace", "interaction_id"],
        unique=False,
        postgresql_where=sa.text("unattended_since IS NOT NULL"),
        sqlite_where=sa.text("unattended_since IS NOT NULL"),
    )
    op.create_index(
        "ix_hitl_interactions_handle",
        "hitl_interactions",
        [sa.text("substr(CAST(interaction_id AS TEXT), 31)")],
        unique=False,
    )
    op.create_table(
        "job_checkpoints",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("key", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("value", JsonText, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_job_checkpoints_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_checkpoints")),
    )

    op.create_table(
        "job_carried_answers",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("from_job_id", Id, nullable=False),
        sa.Column("prompt_id", Id, nullable=False),
        sa.Column("response", JsonText, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_job_carried_answers_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_carried_answers")),
    )
    op.create_table(
        "queue_locks",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("lock_id", Id, nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "job_type", name=op.f("pk_queue_locks")),
    )
    op.create_table(
        "console_presence",
        sa.Column("replica_id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("views", JsonText, nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name=op.f("pk_console_presence")),
    )
    op.bulk_insert(
        sa.table("askback_settings", sa.column("name", sa.Text), sa.column("value", sa.Text)),
        [
            {"name": "feed_epoch", "value": secrets.token_hex(8)},
            {"name": "token_key", "value": secrets.token_hex(32)},
            {"name": "feed_tail", "value": "0:0"},
        ],
    )


def _create_events() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # Partitioned by day, so that history goes by DROP and not by DELETE. The identity and the
        # transaction id are drawn by the server; a default partition would lock out new days.
        op.execute("CREATE SEQUENCE job_events_id_seq AS bigint CACHE 1")
        op.execute(
            "CREATE TABLE job_events ("
            " id bigint NOT NULL DEFAULT nextval('job_events_id_seq'),"
            " xid xid8 NOT NULL DEFAULT pg_current_xact_id(),"
            " at timestamptz NOT NULL, job_id uuid NOT NULL, seq bigint NOT NULL, type text NOT NULL,"
            " actor text NOT NULL, state text NOT NULL, namespace text NOT NULL,"
            " command_id uuid NOT NULL, prompt_id uuid, data json,"
            " CONSTRAINT pk_job_events PRIMARY KEY (id, at)"
            ") PARTITION BY RANGE (at)"
        )
    else:
        op.create_table(
            "job_events",
            # AUTOINCREMENT: an id must never be given out twice, for resume tokens name it.
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("xid", sa.BigInteger(), nullable=False),
            sa.Column("at", Instant(), nullable=False),
            sa.Column("job_id", Id, nullable=False),
            sa.Column("seq", sa.BigInteger(), nullable=False),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("actor", sa.Text(), nullable=False),
            sa.Column("state", sa.Text(), nullable=False),
            sa.Column("namespace", sa.Text(), nullable=False),
            sa.Column("command_id", Id, nullable=False),
            sa.Column("prompt_id", Id, nullable=True),
            sa.Column("data", JsonText, nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
            sqlite_autoincrement=True,
        )
    op.create_index("ix_job_events_feed", "job_events", ["xid", "id"], unique=False)
    op.create_index("ix_job_events_job", "job_events", ["job_id", "seq"], unique=False)
    if connection.dialect.name == "postgresql":
        make_days(connection)
