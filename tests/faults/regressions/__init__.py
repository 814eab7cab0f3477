"""Runs that once failed, named after the bug they found. Add every failing seed here."""

from tests.faults.chaos import Plan
from tests.faults.cluster import ClusterConfig

REGRESSIONS = {
    # When an answer and a late answer were decided in one batch, the worker received the late one only. Users
    # who race over delayed connections cause such batches.
    "late_answer_in_the_same_commit": Plan(
        1,
        5.0,
        "sqlite",
        config=ClusterConfig(replicas=1, workers=2, shared_process=True, client={"at_once": 40}),
        faults=("delay", "stall", "delay", "stall", "freeze", "delay"),
        longest=1.0,
    ),
    # A lease was committed while the worker's next stream resumed the session. The worker never received the
    # job and held it until its session ended.
    "a_lease_beside_a_resume": Plan(
        2,
        6.0,
        "postgresql",
        config=ClusterConfig(
            replicas=2, workers=2, shared_process=True, client={"at_once": 20}, slow_commits="0.5,1.5"
        ),
        faults=("reset", "reset", "drain", "reset", "reset", "drain", "reset", "reset"),
        longest=1.0,
    ),
}
