"""An index of the open prompts of a job."""

from askback_server.storage.large_indexes import create_large_index

revision = "0008_open_prompts_of_jobs"
down_revision = "0007_urgency"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index(
        "ix_hitl_interactions_job",
        "hitl_interactions",
        ["job_id", "responded_at"],
        where="responded_at IS NULL",
    )
