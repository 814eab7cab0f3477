"""Settings of Hypothesis for all tests."""

from hypothesis import HealthCheck, settings

# `make unit` takes a tenth of the examples, `make test` all. What needs more than the default names it as a
# multiple of `settings.default.max_examples`, so that both follow.
# Without time limits, a property fails only if it is false, and not because the machine is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
settings.register_profile("few", settings.get_profile("untimed"), max_examples=10)
