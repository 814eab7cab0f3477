"""An index of closed prompts by the time of their end."""

from askback_server.storage.large_indexes import create_large_index

revision = "0009_closed_prompts"
down_revision = "0008_open_prompts_of_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index(
        "ix_hitl_interactions_closed",
        "hitl_interactions",
        ["namespace", "responded_at", "interaction_id"],
        where="responded_at IS NOT NULL",
    )
