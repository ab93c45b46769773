"""Synthetic runs for tests of what is found in several."""

from tests.harness.synthetic_runs import own_runs, runs  # noqa: F401  fixtures
