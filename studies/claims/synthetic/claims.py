"""Table of the claims that short computations decide."""

from dataclasses import dataclass

import numpy as np

from ground.reading import read_as, read_yaml
from studies.claims.listing import CONFIGS
from studies.claims.of_file import claims_of_file
from studies.claims.synthetic.controls import noise, planted
from studies.claims.synthetic.percolation import thresholds, widths

NAME = "synthetic"


@dataclass(frozen=True)
class Seeds:
    """Seed of every computation. first: of its generator."""

    first: int


@dataclass(frozen=True)
class Computation:
    """What a claim is computed from: its seed alone."""

    seed: int

    @classmethod
    def of_rules(cls) -> "Computation":
        """Return what the file of rules says."""
        data = read_yaml(CONFIGS / f"{NAME}.yaml")
        return cls(read_as(Seeds, data["seeds"], "seeds").first)

    def rng(self) -> np.random.Generator:
        """Return a new generator of the seed."""
        return np.random.default_rng(self.seed)


CLAIMS = claims_of_file(
    NAME,
    {
        "p4.percolation.threshold": thresholds,
        "p4.percolation.sigma": widths,
        "ctl.noise": noise,
        "ctl.planted": planted,
    },
)
