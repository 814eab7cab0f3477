"""The index of the inbox in the order in which pages are read: prompts without a deadline come last."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.large_indexes import create_large_index

revision = "0007_urgency"
down_revision = "0005_answered"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index(
        "ix_hitl_interactions_urgency",
        "hitl_interactions",
        [
            "namespace",
            sa.text("priority DESC"),
            sa.text("COALESCE(timeout_at, '9999-12-31T00:00:00.000000+00:00')"),
            "interaction_id",
        ],
        where="responded_at IS NULL",
    )
    # Programs of the previous migration never read pages by it: their order has another expression.
    op.drop_index("ix_hitl_interactions_inbox", table_name="hitl_interactions")
