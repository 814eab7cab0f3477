"""An index of prompts by the person who answered them."""

import sqlalchemy as sa

from askback_server.storage.large_indexes import create_large_index

revision = "0005_answered"
down_revision = "0003_overview"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index(
        "ix_hitl_interactions_answered",
        "hitl_interactions",
        ["namespace", sa.text("(response_data ->> 'user_id')"), "responded_at", "interaction_id"],
        where="(response_data ->> 'user_id') IS NOT NULL",
    )
