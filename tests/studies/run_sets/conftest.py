"""Synthetic runs for tests of their sets."""

from tests.harness.synthetic_runs import own_runs, runs  # noqa: F401  fixtures
