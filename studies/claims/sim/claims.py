"""Table of the claims of arXiv:2410.08309 about the structured identity mapping task."""

from studies.claims.sim.symmetric_claims import SYMMETRIC
from studies.claims.sim.trained_claims import TRAINED

CLAIMS = (*TRAINED, *SYMMETRIC)
