"""Rules of configs/sim/claims.yaml: the claims, and the numbers that decide them."""

from dataclasses import dataclass
from pathlib import Path

from ground.files import hash_file
from ground.reading import read_as, read_yaml
from studies.claims.entries import Entry
from studies.claims.sim.config import Seeds

RULES_FILE = Path(__file__).resolve().parents[3] / "configs" / "sim" / "claims.yaml"


@dataclass(frozen=True)
class Rules:
    """Numbers of the rules; the file explains each."""

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
    claims: dict[str, Entry]


def read_rules(path: Path = RULES_FILE) -> Rules:
    """Read the rules. Raises Mistake for a key that is missing, unknown or of another type."""
    return read_as(Rules, read_yaml(path), "")


def rules_hash(path: Path = RULES_FILE) -> str:
    """Return the SHA-256 of the file, as 12 hexadecimal digits."""
    return hash_file(path)[:12]
