"""Runs that once found something, by the name of what they found. A seed that fails becomes one of these."""

from tests.faults.chaos import Plan
from tests.faults.scene import Cast

REGRESSIONS = {
    # An answer and a late one, decided in one batch, were told to the worker as a late one only. People who
    # race through delayed ways make such batches.
    "late_answer_in_the_same_commit": Plan(
        1, 8.0, "sqlite", cast=Cast(replicas=1, workers=2, crowd=True, client={"at_once": 40}),
        faults=("delay", "stall", "delay", "stall", "freeze", "delay"), longest=1.0,
    ),
}  # fmt: skip
