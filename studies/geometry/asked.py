"""What scripts/geometry.py is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Asked:
    """What the command line asks for, as its flags say."""

    sites: Sequence[str]
    levels: Sequence[float]
    steps: Sequence[int] | Literal["all"] | None
    grid: int
    noise_seeds: int
    pooled: bool
    homology: bool
    swap: bool
    steer: Sequence[int]
    umap: bool
    memory_mb: int
