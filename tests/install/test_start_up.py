"""Budgets for start-up times, as ratios to a bare interpreter."""

import pytest

from tests.install.start_up import BARE, measure, programs
from tests.install.wheelhouse import Environment

pytestmark = pytest.mark.timeout(300)
BUDGETS = {
    # Loads nothing: names are loaded when they are used.
    "import askback": 2.0,
    # Loads grpc, protobuf and pydantic.
    "from askback import Client": 30.0,
    "from askback import Worker": 30.0,
}


def test_imports_stay_within_their_budgets(light: Environment) -> None:
    """The budgets of the command line are in its own tests."""
    commands = programs(light.python, light.askback)
    taken = measure({name: commands[name] for name in (BARE, *BUDGETS)})
    ratios = {name: taken[name] / taken[BARE] for name in BUDGETS}
    assert {name: ratio for name, ratio in ratios.items() if ratio > BUDGETS[name]} == {}, ratios
