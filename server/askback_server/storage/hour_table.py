"""The table of counts by the hour."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Instant

# What happened in each hour (ports/overview.py). `bucket` is that of the answer times, see BOUNDS.
hour_counts = sa.Table(
    "hour_counts",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("hour", Instant, primary_key=True, index=True),
    sa.Column("job_type", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, nullable=False),
)
