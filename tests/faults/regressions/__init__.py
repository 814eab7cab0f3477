"""Runs that once found something, by the name of what they found. A seed that fails becomes one of these."""

from tests.faults.chaos import Plan
from tests.faults.scene import Cast

REGRESSIONS = {
    # An answer and a late one, decided in one batch, were told to the worker as a late one only. People who
    # race through delayed ways make such batches.
    "late_answer_in_the_same_commit": Plan(
        1,
        5.0,
        "sqlite",
        cast=Cast(replicas=1, workers=2, crowd=True, client={"at_once": 40}),
        faults=("delay", "stall", "delay", "stall", "freeze", "delay"),
        longest=1.0,
    ),
    # A lease was being committed while the worker's next stream resumed the session: nobody told the worker,
    # and the job was its own for as long as it lived.
    "a_lease_beside_a_resume": Plan(
        2,
        6.0,
        "postgresql",
        cast=Cast(replicas=2, workers=2, crowd=True, client={"at_once": 20}, slow_commits="0.5,1.5"),
        faults=("reset", "reset", "drain", "reset", "reset", "drain", "reset", "reset"),
        longest=1.0,
    ),
}
