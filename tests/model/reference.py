"""A reference model of jobs, prompts, rules and leases (docs/design.md 3, 4, 7 and 10), in plain dicts.

Written from the document and independent of the server's code: names, numbers and strings go in, tuples
come out. Times are seconds since the start.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.model.proposals import Proposals
from tests.model.state import Refused, Reply


class Reference(Proposals):
    """Runs commands by name."""

    def execute(self, verb: str, at: int = 0, **what: Any) -> Reply:
        """Run a command at a replica. Returns its reply."""
        self.place = at
        before, uses, self._fenced = copy.deepcopy(self.jobs), self.uses, True
        self.impossible = False
        try:
            return getattr(self, verb)(**what)
        except Refused as no:
            self.jobs, self.uses, self.impossible = before, uses, False
            return ("refused", str(no))

    def allows(self, reply: Reply, actual: Reply) -> bool:
        """Whether `actual` is a valid reply to the last command, for which the model gave `reply`.

        If the caller's session has expired or moved to another stream, that error may replace any other.
        """
        return reply == actual or (actual == ("refused", self._lost_lease_error()) and not self._fenced)
