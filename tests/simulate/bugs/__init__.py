"""Planted bugs, one per guarantee: the simulator must find each of them."""

from tests.simulate.bugs.absences import ABSENCES
from tests.simulate.bugs.converse import ACCESS, CONVERSE, RECONNECT
from tests.simulate.bugs.planted import Bug
from tests.simulate.bugs.proposals import PROPOSALS
from tests.simulate.bugs.rules import RULES
from tests.simulate.bugs.votes import VOTES
from tests.simulate.bugs.work import CONTEST, WORK

BUGS: dict[str, dict[str, Bug]] = {
    "converse": CONVERSE,
    "reconnect": RECONNECT,
    "access": ACCESS,
    "work": WORK,
    "contest": CONTEST,
    "votes": VOTES,
    "rules": RULES,
    "proposals": PROPOSALS,
    "absences": ABSENCES,
}
"""By the kind of schedule that finds them."""
