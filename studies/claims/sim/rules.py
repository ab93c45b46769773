"""configs/sim/claims.yaml: the claims, and the numbers that decide them."""

from dataclasses import dataclass
from pathlib import Path

from ground.files import hash_file
from ground.reading import read_as, read_yaml
from studies.claims.sim.config import Seeds

RULES_FILE = Path(__file__).resolve().parents[3] / "configs" / "sim" / "claims.yaml"


@dataclass(frozen=True)
class Claim:
    """claim: what is said. margin: δ of a rule about a difference."""

    claim: str
    margin: float = 0.0


@dataclass(frozen=True)
class Rules:
    """The fields are explained in the file."""

    seeds: Seeds
    rise: float
    swing: float
    arrived: float
    rates: tuple[float, ...]
    order: float
    monotone: float
    least_runs: int
    left: float
    same_share: float
    claims: dict[str, Claim]


def read_rules(path: Path = RULES_FILE) -> Rules:
    return read_as(Rules, read_yaml(path), "")


def rules_hash(path: Path = RULES_FILE) -> str:
    """SHA-256 of the file, as 12 hexadecimal digits."""
    return hash_file(path)[:12]
