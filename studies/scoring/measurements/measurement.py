"""Contract of measurements: what is measured of the images of a plan, or of the model that drew
them.

The probe and the oracle meet it. A further measurement is a file beside theirs and a line in
registry.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from jaxtyping import UInt8
from torch import Tensor

from classifiers.scores import write_part
from diffusion.pipeline import ConceptPipeline
from studies.run.directory import RunDir
from studies.run.plans import Plan
from studies.run.tables import write_rows


@dataclass(frozen=True)
class Subject:
    """Subject of measurements: the images of one plan, what they were asked to show, and their
    model.

    Attributes:
        plan: which images, of which snapshot, drawn how.
        images: uint8 (n, c, h, w), those of each prompt in turn.
        rows: of every image the columns of scores that differ within a plan.
        targets: of every image concept → what it is asked to show.
        common: the columns of scores that are the same for all.
        model: loads the snapshot as it draws, for measurements that ask it under other conditions,
            read its activations or take hooks. Raises Mistake where the plan has no model: of the
            world's own images and of the memoriser.
    """

    plan: Plan
    images: UInt8[Tensor, "n c h w"]
    rows: Sequence[Mapping[str, Any]]
    targets: Sequence[Mapping[str, Any]]
    common: Mapping[str, Any]
    model: Callable[[], ConceptPipeline]


class Measurement(ABC):
    """Instrument that turns a subject into rows of a table.

    Class attributes:
        table: where its rows go: `scores`, or a table of its own beside it, NAME.parquet.

    Attributes:
        name: in the names of its parts and, of scores, in the column `probe`.
    """

    table: ClassVar[str] = "scores"
    name: str

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, str]:
        """Return what every part of it notes beside its rows: versions, limits, certificates."""

    def measures(self, plan: Plan) -> bool:
        """Return whether it has anything to say of a plan."""
        return True

    @abstractmethod
    def measure(self, subject: Subject) -> pd.DataFrame:
        """Return its rows; those of scores have the columns of that table."""

    def part(self, plan: Plan, run: RunDir) -> Path:
        """Return where its rows of one plan are kept."""
        return plan.part(run, self.name, self.table)

    def write(self, part: Path, rows: pd.DataFrame, facts: Mapping[str, str]) -> None:
        """Write rows, whole or not at all. Raises Mistake on a null or a double in the key of
        scores."""
        write = write_part if self.table == "scores" else write_rows
        write(part, rows, facts)
