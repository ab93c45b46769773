"""Limit of the oracle of a world: measured once, shared by all runs of that world."""

from pathlib import Path
from typing import Any

from classifiers.oracle import Oracle
from ground.files import hash_json, read_json, write_directory, write_json
from studies.run.opened import Experiment
from studies.run.provenance import ORACLE, VERSIONS
from studies.run.sharing import make_once
from studies.worlds.kind import KindOfWorld
from studies.worlds.shapes.oracle import LIMIT_OF, measured_limit

FILE = "limit.json"


def limit_identity(world: KindOfWorld) -> dict[str, Any]:
    """Return all that the limit depends on: how images look, and how they are read."""
    return {"version": VERSIONS[ORACLE], "world": world.looks, "limit_of": LIMIT_OF}


def limit_directory(experiment: Experiment) -> Path:
    """Return where the limit of an experiment's world is kept, beside its runs."""
    identity = limit_identity(experiment.world)
    return experiment.run.shared / f"oracle-{hash_json(identity)[:12]}"


def shared_limit(experiment: Experiment, oracle: Oracle) -> float:
    """Return the residual above which the oracle is unsure (`Oracle.limit`), to the bit.

    It is measured unless another run of the world has left it. oracle: that of the world.
    """
    directory = limit_directory(experiment)

    def fill(path: Path) -> None:
        found = {"limit": measured_limit(oracle), "identity": limit_identity(experiment.world)}
        write_json(path / FILE, found)

    make_once(directory, lambda: write_directory(directory, fill))
    return float(read_json(directory / FILE)["limit"])
