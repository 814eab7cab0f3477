"""Tables by which replicas share what they know: locks of queues, and the views of consoles."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Id, Instant, JsonText

# The replica that may lease jobs of a queue with a limit (ports/queue_locks.py). A handful of rows.
queue_locks = sa.Table(
    "queue_locks",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("job_type", sa.Text, primary_key=True),
    sa.Column("lock_id", Id, nullable=False),
    sa.Column("until", Instant, nullable=False),
)

# The views of the consoles of each replica (engine/presence.py). One row per replica.
presence = sa.Table(
    "console_presence",
    metadata,
    sa.Column("replica_id", Id, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("views", JsonText, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
)
