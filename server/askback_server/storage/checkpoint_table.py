"""The table of checkpoints over the chains of jobs."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Instant

# domain/checkpoints.py
audit_checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False, index=True),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("heads", sa.LargeBinary, nullable=False),
)
