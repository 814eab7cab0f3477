"""The table of ended sign-in sessions."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Instant

# Ended sign-in sessions (engine/sign_outs.py). Rows of sessions that are over are deleted.
sign_outs = sa.Table(
    "sign_outs",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("stored_at", Instant, nullable=False, index=True),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)
